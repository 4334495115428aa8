#include "add_on.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <memory>
#include <optional>

#include "../cpp/ext.h"

using namespace tandem;

namespace {

// A graph is recorded on a stream of its own: the default one cannot be captured.
struct Graph {
  explicit Graph(c10::DeviceIndex device) : device(device) {}

  c10::DeviceIndex device;
  at::cuda::CUDAGraph graph;
  std::optional<c10::cuda::CUDAStream> before;
  c10::DeviceIndex device_before = 0;

  void begin(Graph* like) {
    TORCH_CHECK(!before.has_value(), "this graph is being recorded already");
    device_before = c10::cuda::current_device();
    c10::cuda::set_device(device);
    // What was queued on other streams must not be waited for inside of the recording.
    c10::cuda::device_synchronize();
    before = c10::cuda::getCurrentCUDAStream(device);
    c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device));
    try {
      graph.capture_begin(like == nullptr ? c10::MempoolId_t{0, 0} : like->graph.pool());
    } catch (...) {
      restore();
      throw;
    }
  }

  void end() {
    TORCH_CHECK(before.has_value(), "this graph is not being recorded");
    try {
      graph.capture_end();
    } catch (...) {
      restore();
      throw;
    }
    restore();
  }

  void restore() {
    c10::cuda::setCurrentCUDAStream(*before);
    before.reset();
    c10::cuda::set_device(device_before);
  }
};

Graph& of(void* graph) { return *static_cast<Graph*>(graph); }

char* graph_new(int64_t device, void** graph) {
  return guard([&] { *graph = new Graph(static_cast<c10::DeviceIndex>(device)); });
}

void graph_free(void* graph) { delete static_cast<Graph*>(graph); }

char* graph_register(void* graph, const at::Generator* generator) {
  return guard([&] { of(graph).graph.register_generator_state(*generator); });
}

char* graph_begin(void* graph, void* like) {
  return guard([&] { of(graph).begin(static_cast<Graph*>(like)); });
}

char* graph_end(void* graph) {
  return guard([&] { of(graph).end(); });
}

char* graph_replay(void* graph) {
  return guard([&] { of(graph).graph.replay(); });
}

char* peak_bytes(int64_t device, uint64_t* bytes) {
  return guard([&] {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(device));
    *bytes = static_cast<uint64_t>(stats.allocated_bytes[0].peak);
  });
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const CudaAddOn tandem_cuda_add_on{
    graph_new, graph_free, graph_register, graph_begin, graph_end, graph_replay, peak_bytes};
