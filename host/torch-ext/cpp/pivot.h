// What the pivoted layers share. `src/pivot.rs` says what a pivoted layer is.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ext.h"

namespace tandem {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What a layer keeps from its forward besides tensors under autograd's version check. The factors are not
// under it, since they are filled between forward and backward.
struct Kept : torch::CustomClassHolder {
  Kept(at::Tensor factors, bool has_bias) : factors(std::move(factors)), has_bias(has_bias) {}

  at::Tensor factors;
  bool has_bias;
};

template <class K>
const K& keep(AutogradContext* ctx, const c10::intrusive_ptr<K>& kept) {
  ctx->saved_data["kept"] = c10::IValue::make_capsule(kept);
  return *kept;
}

template <class K>
c10::intrusive_ptr<K> kept(AutogradContext* ctx) {
  return c10::static_intrusive_pointer_cast<K>(ctx->saved_data.at("kept").toCapsule());
}

// One factor for each sample of `input`, on the device and of the type of `like`, or of float32 where that is narrower.
inline void check_factors(const char* layer, const at::Tensor& factors, const at::Tensor& input,
                          const at::Tensor& like) {
  TORCH_CHECK(input.dim() >= 1 && input.size(0) == factors.size(0), layer, ": the pivot holds ",
              factors.size(0), " factors, but the input is ", input.sizes(),
              "; its first dimension must be the pivot's batch");
  const bool narrow = like.scalar_type() == at::kBFloat16 || like.scalar_type() == at::kHalf;
  const auto wanted = narrow ? at::kFloat : like.scalar_type();
  TORCH_CHECK(factors.scalar_type() == wanted && factors.device() == like.device(), layer,
              ": the pivot is ", factors.scalar_type(), " on ", factors.device(), ", but the layer computes in ",
              like.scalar_type(), " on ", like.device());
}

// A backward runs with gradients enabled exactly when `create_graph` was asked for.
inline void check_once(const char* layer) {
  TORCH_CHECK(!at::GradMode::is_enabled(), layer,
              " has no second derivative: a pivoted layer cannot run backwards with create_graph; "
              "use the plain layer for terms that differentiate a gradient");
}

// `a_i v_i` for each sample of `values` `[B, ...]`, rounded once where the values are narrower than the factors.
inline at::Tensor scaled(const at::Tensor& values, const at::Tensor& factors) {
  std::vector<int64_t> shape(values.dim(), 1);
  shape[0] = factors.size(0);
  return at::mul(values, factors.view(shape)).to(values.scalar_type());
}

// `Σ_i a_i v_i` over the samples of `values` `[B, ...]`.
inline at::Tensor weighted_sum(const at::Tensor& values, const at::Tensor& factors) {
  auto flat = values.reshape({factors.size(0), -1}).to(factors.scalar_type());
  return at::mv(flat.t(), factors).view(values.sizes().slice(1)).to(values.scalar_type());
}

}  // namespace tandem
