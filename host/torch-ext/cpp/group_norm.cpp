// Group norm that asks libtorch for no gradient that it crashes on (docs/decisions/0010-a-strided-point-is-a-slice.md).
#include <ATen/ops/group_norm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ext.h"

using namespace tandem;

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// `input` itself, as something that the parameters lead to: whoever asks for their gradients then asks for the one at
// the input, too. libtorch's channels-last backward writes that one whether it was made or not.
struct LedToByParameters : torch::autograd::Function<LedToByParameters> {
  static at::Tensor forward(AutogradContext*, const at::Tensor& input, const at::Tensor&,
                            const std::optional<at::Tensor>&) {
    return input.view_as(input);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    return {ctx->needs_input_grad(0) ? grads[0] : at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

extern "C" {

char* tandem_ext_group_norm(const at::Tensor* input, int64_t groups, const at::Tensor* weight, const at::Tensor* bias,
                            double eps, at::Tensor** out) {
  return guard([&] {
    const bool learns = weight != nullptr && at::GradMode::is_enabled();
    const bool led = learns && input->is_cpu() && input->suggest_memory_format() != at::MemoryFormat::Contiguous;
    const auto x = led ? LedToByParameters::apply(*input, *weight, optional(bias)) : *input;
    *out = new at::Tensor(at::group_norm(x, groups, optional(weight), optional(bias), eps));
  });
}

}  // extern "C"
