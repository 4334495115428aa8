// Pivoted convolution, linear and embedding; the norms are in pivot_norm.cpp.
#include <ATen/ops/embedding.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>

#include "conv.h"
#include "pivot.h"

using namespace tandem;

namespace {

struct ConvKept : Kept {
  ConvKept(const at::Tensor& factors, bool has_bias, Convolution conv)
      : Kept(factors, has_bias), conv(std::move(conv)) {}

  Convolution conv;
};

struct PivotedConv : torch::autograd::Function<PivotedConv> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const c10::intrusive_ptr<ConvKept>& shape) {
    const auto& s = keep(ctx, shape);
    check_factors("convolution", s.factors, input, input);
    ctx->save_for_backward({input, weight});
    return s.conv.forward(input, weight, bias);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    check_once("convolution");
    const auto saved = ctx->get_saved_variables();
    const auto &input = saved[0], &weight = saved[1], &delta = grads[0];
    const auto s = kept<ConvKept>(ctx);
    const bool bias_needed = s->has_bias && ctx->needs_input_grad(2);
    at::Tensor grad_input, grad_weight, grad_bias;
    if (ctx->needs_input_grad(0)) grad_input = s->conv.input_gradient(delta, input, weight);
    if (ctx->needs_input_grad(1)) {
      // The weight's gradient is bilinear in the input and `delta`: scale whichever is smaller.
      if (delta.numel() <= input.numel()) {
        std::tie(grad_weight, grad_bias) =
            s->conv.weight_gradient(scaled(delta, s->factors), input, weight, bias_needed);
      } else {
        grad_weight = std::get<0>(s->conv.weight_gradient(delta, scaled(input, s->factors), weight, false));
      }
    }
    if (bias_needed && !grad_bias.defined()) grad_bias = weighted_sum(sum_spatial(delta), s->factors);
    return {grad_input, grad_weight, grad_bias, at::Tensor()};
  }
};

struct PivotedLinear : torch::autograd::Function<PivotedLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const c10::intrusive_ptr<Kept>& pivot) {
    check_factors("linear", keep(ctx, pivot).factors, input, input);
    TORCH_CHECK(input.dim() >= 2, "linear: expected an input [B, *, in], found ", input.sizes());
    ctx->save_for_backward({input, weight});
    return at::linear(input, weight, bias);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    check_once("linear");
    const auto saved = ctx->get_saved_variables();
    const auto &input = saved[0], &weight = saved[1], &delta = grads[0];
    const auto pivot = kept<Kept>(ctx);
    const auto& factors = pivot->factors;
    at::Tensor grad_input, grad_weight, grad_bias;
    if (ctx->needs_input_grad(0)) grad_input = at::matmul(delta, weight);
    if (ctx->needs_input_grad(1)) {
      const bool scale_delta = delta.numel() <= input.numel();
      const auto d = scale_delta ? scaled(delta, factors) : delta;
      const auto x = scale_delta ? input : scaled(input, factors);
      grad_weight = at::mm(d.reshape({-1, weight.size(0)}).t(), x.reshape({-1, weight.size(1)}));
    }
    if (pivot->has_bias && ctx->needs_input_grad(2)) {
      const auto by_sample = delta.reshape({delta.size(0), -1, delta.size(-1)});
      grad_bias = weighted_sum(delta.dim() == 2 ? delta : by_sample.sum(1), factors);
    }
    return {grad_input, grad_weight, grad_bias, at::Tensor()};
  }
};

struct PivotedEmbedding : torch::autograd::Function<PivotedEmbedding> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& weight, const at::Tensor& indices,
                            const c10::intrusive_ptr<Kept>& pivot) {
    check_factors("embedding", keep(ctx, pivot).factors, indices, weight);
    ctx->save_for_backward({indices});
    ctx->saved_data["rows"] = weight.size(0);
    return at::embedding(weight, indices);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    check_once("embedding");
    return {at::embedding_dense_backward(scaled(grads[0], kept<Kept>(ctx)->factors), ctx->get_saved_variables()[0],
                                         ctx->saved_data.at("rows").toInt(), /*padding_idx=*/-1,
                                         /*scale_grad_by_freq=*/false),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

extern "C" {

char* tandem_ext_pivot_fill(const at::Tensor* pivot, const at::Tensor* factors) {
  return guard([&] {
    at::NoGradGuard no_grad;
    TORCH_CHECK(factors->sizes() == pivot->sizes(), "expected factors ", pivot->sizes(), ", found ",
                factors->sizes());
    at::Tensor(*pivot).copy_(*factors);
  });
}

char* tandem_ext_pivoted_conv(const at::Tensor* input, const at::Tensor* weight, const at::Tensor* bias,
                              const ConvShape* shape, const at::Tensor* pivot, at::Tensor** out) {
  return guard([&] {
    auto kept = c10::make_intrusive<ConvKept>(*pivot, bias != nullptr, Convolution(*shape, *input, *weight));
    *out = new at::Tensor(PivotedConv::apply(*input, *weight, optional(bias), kept));
  });
}

char* tandem_ext_pivoted_linear(const at::Tensor* input, const at::Tensor* weight, const at::Tensor* bias,
                                const at::Tensor* pivot, at::Tensor** out) {
  return guard([&] {
    *out = new at::Tensor(PivotedLinear::apply(*input, *weight, optional(bias),
                                               c10::make_intrusive<Kept>(*pivot, bias != nullptr)));
  });
}

char* tandem_ext_pivoted_embedding(const at::Tensor* indices, const at::Tensor* weight,
                                   const at::Tensor* pivot, at::Tensor** out) {
  return guard([&] {
    *out = new at::Tensor(PivotedEmbedding::apply(*weight, *indices, c10::make_intrusive<Kept>(*pivot, false)));
  });
}

}  // extern "C"
