// Vector-Jacobian products, and the freeing of what the boundary hands over.
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include "ext.h"

using namespace tandem;

extern "C" {

void tandem_ext_free(void* buffer) { std::free(buffer); }

char* tandem_ext_grad(Tensors outputs, Tensors seeds, Tensors inputs, bool retain_graph,
                      bool create_graph, at::Tensor** grads) {
  return guard([&] {
    TORCH_CHECK(outputs.len == seeds.len, "expected one seed (or None) for each of the ", outputs.len,
                " outputs, found ", seeds.len);
    auto leaves = list(inputs);
    auto result = torch::autograd::grad(list(outputs), leaves, list(seeds), retain_graph, create_graph,
                                        /*allow_unused=*/true);
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (!result[i].defined()) result[i] = at::zeros_like(leaves[i]);
    }
    for (size_t i = 0; i < leaves.size(); ++i) grads[i] = new at::Tensor(std::move(result[i]));
  });
}

}  // extern "C"
