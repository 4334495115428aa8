// The CUDA add-on: what needs CUDA's headers, in a shared object of its own that is opened after libtorch_cuda.
//
// The rest of torch-ext links libtorch's CPU half alone. This table is all that it knows of the add-on.
#pragma once

#include <ATen/core/Generator.h>

#include <cstdint>

namespace tandem {

struct CudaAddOn {
  // Every function gives null or a message from `malloc`.
  char* (*graph_new)(int64_t device, void** graph);
  void (*graph_free)(void* graph);
  // Draws of this generator in the graph go on from replay to replay.
  char* (*graph_register)(void* graph, const at::Generator* generator);
  // Between these, work on the graph's device is recorded and not done. It takes memory from `like`'s pool, if there is
  // one: their results must be read before the other is replayed.
  char* (*graph_begin)(void* graph, void* like);
  char* (*graph_end)(void* graph);
  char* (*graph_replay)(void* graph);
  // The most bytes that tensors on the device ever took.
  char* (*peak_bytes)(int64_t device, uint64_t* bytes);
};

}  // namespace tandem
