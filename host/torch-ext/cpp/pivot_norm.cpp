// Pivoted group, layer and instance norm.
//
// A norm that treats each sample apart can be told that every sample has channels of its own: seen as one sample
// of B * C channels, its kernel returns the parameter gradients of each sample, [B, C], in the same pass as the
// input gradient, and the pivot is one small product with them.
#include <ATen/ops/_batch_norm_impl_index.h>
#include <ATen/ops/_batch_norm_impl_index_backward.h>
#include <ATen/ops/native_group_norm.h>
#include <ATen/ops/native_group_norm_backward.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>

#include "pivot.h"

using namespace tandem;

namespace {

at::Tensor undefined() { return at::Tensor(); }

at::Tensor or_undefined(const std::optional<at::Tensor>& tensor) {
  return tensor.has_value() ? tensor->contiguous() : undefined();
}

int64_t product(at::IntArrayRef sizes) {
  int64_t result = 1;
  for (const int64_t size : sizes) result *= size;
  return result;
}

struct NormKept : Kept {
  using Kept::Kept;

  bool has_weight = false;
  int64_t groups = 1;
  double eps = 0;
  int64_t impl_index = 0;            // instance norm: which batch norm ran
  std::vector<int64_t> normalized;   // layer norm

  // Which of input, weight and bias a backward must give; absent ones have no place among the edges.
  std::array<bool, 3> needed(AutogradContext* ctx) const {
    return {ctx->needs_input_grad(0), has_weight && ctx->needs_input_grad(1),
            has_bias && ctx->needs_input_grad(has_weight ? 2 : 1)};
  }

  // The gradient of a parameter, from each sample's share `[B * C]`.
  at::Tensor pivoted(const at::Tensor& shares) const {
    return shares.defined() ? weighted_sum(shares.view({factors.size(0), -1}), factors) : undefined();
  }
};

using NormPtr = c10::intrusive_ptr<NormKept>;

void check_channels(const char* layer, const at::Tensor& input, const std::optional<at::Tensor>& parameter) {
  TORCH_CHECK(input.dim() >= 2, layer, ": expected an input [B, C, *], found ", input.sizes());
  TORCH_CHECK(!parameter.has_value() || parameter->sizes() == at::IntArrayRef{input.size(1)}, layer,
              ": expected weight and bias [", input.size(1), "], found ", parameter->sizes());
}

struct PivotedGroupNorm : torch::autograd::Function<PivotedGroupNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input,
                            const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                            const NormPtr& norm) {
    const auto& n = keep(ctx, norm);
    check_factors("group norm", n.factors, input, input);
    check_channels("group norm", input, weight);
    check_channels("group norm", input, bias);
    TORCH_CHECK(n.groups > 0 && input.size(1) % n.groups == 0, "group norm: cannot split ", input.size(1),
                " channels into ", n.groups, " equal groups");
    // Laid out as `at::group_norm` does, so that the same kernel runs.
    const auto x = input.device().is_cpu() ? input.contiguous(input.suggest_memory_format()) : input.contiguous();
    const auto gamma = or_undefined(weight);
    auto [out, mean, rstd] =
        at::native_group_norm(x, gamma, or_undefined(bias), x.size(0), x.size(1),
                              product(x.sizes().slice(2)), n.groups, n.eps);
    ctx->save_for_backward({x, gamma, mean, rstd});
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    check_once("group norm");
    const auto saved = ctx->get_saved_variables();
    const auto &gamma = saved[1], &mean = saved[2], &rstd = saved[3];
    const auto n = kept<NormKept>(ctx);
    const auto x = saved[0].contiguous();
    const auto samples = x.size(0), channels = x.size(1);
    auto [grad_input, grad_weight, grad_bias] = at::native_group_norm_backward(
        grads[0].contiguous().view({1, samples * channels, -1}), x.view({1, samples * channels, -1}),
        mean.view({1, -1}), rstd.view({1, -1}), gamma.defined() ? gamma.repeat(samples) : gamma, 1,
        samples * channels, product(x.sizes().slice(2)), samples * n->groups, n->needed(ctx));
    if (grad_input.defined()) grad_input = grad_input.view(x.sizes());
    return {grad_input, n->pivoted(grad_weight), n->pivoted(grad_bias), undefined()};
  }
};

struct PivotedInstanceNorm : torch::autograd::Function<PivotedInstanceNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input,
                            const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                            const NormPtr& norm) {
    auto& n = *norm;
    keep(ctx, norm);
    check_factors("instance norm", n.factors, input, input);
    check_channels("instance norm", input, weight);
    check_channels("instance norm", input, bias);
    TORCH_CHECK(product(input.sizes().slice(2)) > 1,
                "instance norm: needs more than one element for each channel, found an input ", input.sizes());
    // As `at::instance_norm` does: one sample of B * C channels, the parameters repeated.
    auto shape = input.sizes().vec();
    shape[0] = 1;
    shape[1] = input.size(0) * input.size(1);
    const auto x = input.contiguous().view(shape);
    const auto repeated = [&](const std::optional<at::Tensor>& parameter) {
      return parameter.has_value() ? parameter->repeat(input.size(0)) : undefined();
    };
    const auto gamma = repeated(weight);
    auto [out, mean, scale, reserve, impl_index] =
        at::_batch_norm_impl_index(x, gamma, repeated(bias), {}, {}, /*training=*/true, /*momentum=*/0.0,
                                   n.eps, /*cudnn_enabled=*/true);
    n.impl_index = impl_index;
    ctx->save_for_backward({x, gamma, mean, scale, reserve});
    return out.view(input.sizes());
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    check_once("instance norm");
    const auto saved = ctx->get_saved_variables();
    const auto& x = saved[0];
    const auto n = kept<NormKept>(ctx);
    auto [grad_input, grad_weight, grad_bias] = at::_batch_norm_impl_index_backward(
        n->impl_index, x, grads[0].contiguous().view(x.sizes()), saved[1], {}, {}, saved[2], saved[3],
        /*train=*/true, n->eps, n->needed(ctx), saved[4]);
    if (grad_input.defined()) grad_input = grad_input.view(grads[0].sizes());
    return {grad_input, n->pivoted(grad_weight), n->pivoted(grad_bias), undefined()};
  }
};

struct PivotedLayerNorm : torch::autograd::Function<PivotedLayerNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input,
                            const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                            const NormPtr& norm) {
    const auto& n = keep(ctx, norm);
    check_factors("layer norm", n.factors, input, input);
    TORCH_CHECK(static_cast<int64_t>(n.normalized.size()) < input.dim(), "layer norm: the batch of an input ",
                input.sizes(), " cannot be among the normalised dimensions ", at::IntArrayRef(n.normalized));
    auto [out, mean, rstd] = at::native_layer_norm(input, n.normalized, weight, bias, n.eps);
    ctx->save_for_backward({input, weight.value_or(undefined()), bias.value_or(undefined()), mean, rstd});
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    check_once("layer norm");
    const auto saved = ctx->get_saved_variables();
    const auto n = kept<NormKept>(ctx);
    const auto [input_needed, weight_needed, bias_needed] = n->needed(ctx);
    const auto run = [&](const at::Tensor& delta, std::array<bool, 3> mask) {
      return at::native_layer_norm_backward(delta, saved[0], n->normalized, saved[3], saved[4], saved[1],
                                            saved[2], mask);
    };
    at::Tensor grad_input, grad_weight, grad_bias;
    if (input_needed) grad_input = std::get<0>(run(grads[0], {true, false, false}));
    if (weight_needed || bias_needed) {
      std::tie(std::ignore, grad_weight, grad_bias) =
          run(scaled(grads[0], n->factors), {false, weight_needed, bias_needed});
    }
    return {grad_input, grad_weight, grad_bias, undefined()};
  }
};

NormPtr norm(const at::Tensor* weight, const at::Tensor* bias, double eps, const at::Tensor* pivot) {
  auto kept = c10::make_intrusive<NormKept>(*pivot, bias != nullptr);
  kept->has_weight = weight != nullptr;
  kept->eps = eps;
  return kept;
}

}  // namespace

extern "C" {

char* tandem_ext_pivoted_group_norm(const at::Tensor* input, int64_t groups, const at::Tensor* weight,
                                    const at::Tensor* bias, double eps, const at::Tensor* pivot,
                                    at::Tensor** out) {
  return guard([&] {
    auto kept = norm(weight, bias, eps, pivot);
    kept->groups = groups;
    *out = new at::Tensor(PivotedGroupNorm::apply(*input, optional(weight), optional(bias), kept));
  });
}

char* tandem_ext_pivoted_layer_norm(const at::Tensor* input, Ints normalized_shape, const at::Tensor* weight,
                                    const at::Tensor* bias, double eps, const at::Tensor* pivot,
                                    at::Tensor** out) {
  return guard([&] {
    auto kept = norm(weight, bias, eps, pivot);
    kept->normalized = normalized_shape.vec();
    *out = new at::Tensor(PivotedLayerNorm::apply(*input, optional(weight), optional(bias), kept));
  });
}

char* tandem_ext_pivoted_instance_norm(const at::Tensor* input, const at::Tensor* weight, const at::Tensor* bias,
                                       double eps, const at::Tensor* pivot, at::Tensor** out) {
  return guard([&] {
    auto kept = norm(weight, bias, eps, pivot);
    *out = new at::Tensor(PivotedInstanceNorm::apply(*input, optional(weight), optional(bias), kept));
  });
}

}  // extern "C"
