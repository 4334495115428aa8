#include "conv.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/slice.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace tandem {

namespace {

// oneDNN's weight gradient loops over rows of the small map, and is slow where these are short: in bfloat16 always, in
// float32 where there are many weights (docs/decisions/0005-small-maps-are-matrix-products.md).
constexpr int64_t FEW_POSITIONS = 16;
constexpr int64_t MANY_WEIGHTS = 1 << 22;
// The widest block of channels of oneDNN's 1x1 kernels. Below it their weight gradient with strides leaves its memory
// (docs/decisions/0010-a-strided-point-is-a-slice.md).
constexpr int64_t CHANNEL_BLOCK = 16;

bool all(const std::vector<int64_t>& values, int64_t wanted) {
  return std::all_of(values.begin(), values.end(), [&](int64_t value) { return value == wanted; });
}

// The positions of the small map in one dimension, from the large map's size there.
int64_t positions(int64_t large, int64_t kernel, int64_t stride, int64_t padding) {
  return (large + 2 * padding - kernel) / stride + 1;
}

// Channels last, as one row.
at::Tensor rows(const at::Tensor& map) { return map.permute({0, 2, 3, 1}); }

// Weights [A, B, kh, kw] as a matrix [A, kh * kw * B].
at::Tensor matrix(const at::Tensor& weight) { return rows(weight).reshape({weight.size(0), -1}); }

// The inverse of `matrix` for any [A, kh * kw * B].
at::Tensor unfolded(const at::Tensor& matrix, at::IntArrayRef weight) {
  return matrix.view({matrix.size(0), weight[2], weight[3], weight[1]}).permute({0, 3, 1, 2});
}

bool fast_kind(const at::Tensor& tensor) {
  const auto kind = tensor.scalar_type();
  return kind == at::kFloat || kind == at::kDouble || kind == at::kBFloat16;
}

}  // namespace

at::Tensor sum_spatial(const at::Tensor& delta) {
  std::vector<int64_t> dims;
  for (int64_t dim = 2; dim < delta.dim(); ++dim) dims.push_back(dim);
  return dims.empty() ? delta : delta.sum(dims);
}

Convolution::Convolution(const ConvShape& shape, const at::Tensor& input, const at::Tensor& weight)
    : stride_(shape.stride.vec()),
      padding_(shape.padding.vec()),
      output_padding_(shape.output_padding.vec()),
      dilation_(shape.dilation.vec()),
      groups_(shape.groups),
      transposed_(shape.transposed) {
  choose(input, weight);
}

void Convolution::choose(const at::Tensor& input, const at::Tensor& weight) {
  sliced_ = few_positions_ = one_position_ = winograd_maps_ = false;
  winograd_.reset();
  if (input.is_cpu() && input.dim() == 4 && weight.dim() == 4 && stride_.size() == 2) {
    const bool point = weight.size(2) == 1 && weight.size(3) == 1 && all(padding_, 0) && groups_ == 1;
    const bool strided = stride_[0] > 0 && stride_[1] > 0 && !all(stride_, 1);
    const bool joins = input.size(1) == weight.size(transposed_ ? 0 : 1);
    sliced_ = point && strided && joins && weight.size(1) < CHANNEL_BLOCK;
    if (sliced_) return;
  }
  const bool plain = input.dim() == 4 && weight.dim() == 4 && stride_.size() == 2 && padding_.size() == 2 &&
                     groups_ == 1 && all(dilation_, 1) && weight.size(2) * weight.size(3) > 1;
  // What is wrong with the sizes is for libtorch to say.
  const bool fits = plain && input.size(1) == weight.size(transposed_ ? 0 : 1) && stride_[0] > 0 && stride_[1] > 0;
  if (!fits || !input.is_cpu() || !fast_kind(input) || input.scalar_type() != weight.scalar_type()) return;
  WinogradConv::Map small{input.size(2), input.size(3)}, large = small;
  for (size_t d = 0; d < 2; ++d) {
    const auto kernel = weight.size(2 + d);
    if (transposed_) {
      large[d] = (small[d] - 1) * stride_[d] + kernel - 2 * padding_[d] + output_padding_[d];
    } else {
      small[d] = positions(large[d], kernel, stride_[d], padding_[d]);
    }
    if (small[d] < 1 || large[d] < 1 || large[d] + 2 * padding_[d] < kernel) return;
  }
  const bool covers = transposed_ || (large[0] == weight.size(2) && large[1] == weight.size(3));
  const auto position_count = small[0] * small[1];
  one_position_ = covers && position_count == 1 && all(padding_, 0) && all(output_padding_, 0);
  if (one_position_) {
    few_positions_ = true;
    return;
  }
  const bool narrow = input.scalar_type() == at::kBFloat16;
  if (stride_[0] == stride_[1] && padding_[0] == padding_[1]) {
    winograd_ = WinogradConv::plan(input.scalar_type(), input.size(0), small, large, weight.sizes(), stride_[0],
                                   padding_[0]);
  }
  // oneDNN's bfloat16 products are quicker than the float32 ones that Winograd's are here, but for the largest saving.
  winograd_maps_ = winograd_.has_value() && (!narrow || stride_[0] == 1);
  const bool slow = input.scalar_type() != at::kFloat || weight.numel() >= MANY_WEIGHTS;
  few_positions_ = slow && position_count <= FEW_POSITIONS && (narrow || !winograd_);
}

Convolution Convolution::mirrored(const at::Tensor& delta, const at::Tensor& input, const at::Tensor& weight) const {
  auto mirror = *this;
  mirror.transposed_ = !transposed_;
  mirror.output_padding_.assign(stride_.size(), 0);
  if (mirror.transposed_) {
    for (size_t d = 0; d < stride_.size(); ++d) {
      const auto covered = (delta.size(2 + d) - 1) * stride_[d] + dilation_[d] * (weight.size(2 + d) - 1) + 1;
      mirror.output_padding_[d] = input.size(2 + d) + 2 * padding_[d] - covered;
    }
  }
  mirror.choose(delta, weight);
  return mirror;
}

at::Tensor Convolution::forward(const at::Tensor& input, const at::Tensor& weight,
                                const std::optional<at::Tensor>& bias) const {
  if (winograd_maps_) return transposed_ ? winograd_->up(input, weight, bias) : winograd_->down(input, weight, bias);
  if (sliced_) return sliced_forward(input, weight, bias);
  if (!one_position_) {
    return at::convolution(input, weight, bias, stride_, padding_, dilation_, transposed_, output_padding_, groups_);
  }
  // Written into a tensor of its own: an activation may overwrite no view that a custom function made.
  auto out = transposed_ ? at::empty({input.size(0), weight.size(1), weight.size(2), weight.size(3)}, input.options(),
                                     at::MemoryFormat::ChannelsLast)
                         : at::empty({input.size(0), weight.size(0), 1, 1}, input.options());
  auto flat = rows(out).view({input.size(0), -1});
  const auto flat_input = rows(input).reshape({input.size(0), -1}), w = matrix(weight);
  at::mm_out(flat, flat_input, transposed_ ? w : w.t());
  if (bias.has_value()) out.add_(bias->view({1, -1, 1, 1}));
  return out;
}

at::Tensor Convolution::seen(const at::Tensor& large) const {
  return large.slice(2, 0, std::nullopt, stride_[0]).slice(3, 0, std::nullopt, stride_[1]);
}

at::Tensor Convolution::spread(const at::Tensor& seen, at::IntArrayRef large) const {
  // Each position grows to a window of its own, whose first it is; what reaches beyond the map is cut off.
  auto windows = rows(seen).unsqueeze(2).unsqueeze(4);
  windows = at::constant_pad_nd(windows, {0, 0, 0, stride_[1] - 1, 0, 0, 0, stride_[0] - 1});
  auto map = windows.flatten(1, 2).flatten(2, 3).permute({0, 3, 1, 2});
  for (int64_t d = 2; d < 4; ++d) {
    if (map.size(d) > large[d]) map = map.slice(d, 0, large[d]);
  }
  std::vector<int64_t> rest{0, large[3] - map.size(3), 0, large[2] - map.size(2)};
  return all(rest, 0) ? map : at::constant_pad_nd(map, rest);
}

at::Tensor Convolution::sliced_forward(const at::Tensor& input, const at::Tensor& weight,
                                       const std::optional<at::Tensor>& bias) const {
  const std::vector<int64_t> ones(2, 1), zeros(2, 0);
  if (!transposed_) return at::convolution(seen(input), weight, bias, ones, zeros, ones, false, zeros, 1);
  const auto out = at::convolution(input, weight, {}, ones, zeros, ones, true, zeros, 1);
  std::vector<int64_t> sizes{out.size(0), out.size(1)};
  for (size_t d = 0; d < 2; ++d) sizes.push_back((out.size(2 + d) - 1) * stride_[d] + 1 + output_padding_[d]);
  const auto large = spread(out, sizes);
  // A tensor of its own, as in `forward`.
  return bias.has_value() ? large.add(bias->view({1, -1, 1, 1})) : large.clone();
}

at::Tensor Convolution::input_gradient(const at::Tensor& delta, const at::Tensor& input,
                                       const at::Tensor& weight) const {
  if (winograd_maps_) return transposed_ ? winograd_->down(delta, weight, {}) : winograd_->up(delta, weight, {});
  if (!one_position_) return std::get<0>(plain_gradients(delta, input, weight, {true, false, false}));
  if (transposed_) return at::mm(rows(delta).reshape({delta.size(0), -1}), matrix(weight).t()).view(input.sizes());
  return unfolded(at::mm(delta.reshape({delta.size(0), -1}), matrix(weight)), weight.sizes());
}

// What each position of the small map sees of the large one, [N * h * w, kh * kw * B].
at::Tensor Convolution::windows(const at::Tensor& large, const at::Tensor& weight) const {
  const auto padded = all(padding_, 0) ? large
                                       : at::constant_pad_nd(large, {padding_[1], padding_[1], padding_[0], padding_[0]});
  return rows(padded)
      .unfold(1, weight.size(2), stride_[0])
      .unfold(2, weight.size(3), stride_[1])
      .permute({0, 1, 2, 4, 5, 3})
      .reshape({-1, weight.size(1) * weight.size(2) * weight.size(3)});
}

std::tuple<at::Tensor, at::Tensor> Convolution::weight_gradient(const at::Tensor& delta, const at::Tensor& input,
                                                                const at::Tensor& weight, bool bias) const {
  if (sliced_ || !is_ours()) {
    auto [unused, of_weight, of_bias] = plain_gradients(delta, input, weight, {false, true, bias});
    return {of_weight, of_bias};
  }
  const auto &small = transposed_ ? input : delta, &large = transposed_ ? delta : input;
  at::Tensor of_weight;
  if (few_positions_) {
    const auto positions = rows(small).reshape({-1, small.size(1)});
    of_weight = unfolded(at::mm(positions.t(), windows(large, weight)), weight.sizes());
  } else {
    of_weight = winograd_->weight_gradient(large, small, weight.sizes());
  }
  return {of_weight, bias ? sum_spatial(delta).sum(0) : at::Tensor()};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> Convolution::plain_gradients(const at::Tensor& delta,
                                                                            const at::Tensor& input,
                                                                            const at::Tensor& weight,
                                                                            std::array<bool, 3> mask) const {
  if (sliced_) {
    const std::vector<int64_t> ones(2, 1), zeros(2, 0);
    const auto small = transposed_ ? seen(delta) : delta, x = transposed_ ? input : seen(input);
    auto [of_input, of_weight, of_bias] = at::convolution_backward(
        small, x, weight, std::nullopt, ones, zeros, ones, transposed_, zeros, 1, {mask[0], mask[1], false});
    if (mask[0] && !transposed_) of_input = spread(of_input, input.sizes());
    return {of_input, of_weight, mask[2] ? sum_spatial(delta).sum(0) : at::Tensor()};
  }
  // The channel dimension of `delta` is that of the bias.
  return at::convolution_backward(delta, input, weight, at::IntArrayRef{delta.size(1)}, stride_, padding_, dilation_,
                                  transposed_, output_padding_, groups_, mask);
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct OwnConv : torch::autograd::Function<OwnConv> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const c10::intrusive_ptr<Convolution>& conv) {
    ctx->saved_data["conv"] = c10::IValue::make_capsule(conv);
    ctx->saved_data["bias"] = bias.has_value();
    ctx->save_for_backward({input, weight});
    return conv->forward(input, weight, bias);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &input = saved[0], &weight = saved[1], &delta = grads[0];
    const auto conv = c10::static_intrusive_pointer_cast<Convolution>(ctx->saved_data.at("conv").toCapsule());
    const std::array<bool, 3> needed{ctx->needs_input_grad(0), ctx->needs_input_grad(1),
                                     ctx->saved_data.at("bias").toBool() && ctx->needs_input_grad(2)};
    at::Tensor of_input, of_weight, of_bias;
    if (at::GradMode::is_enabled()) {
      // To be differentiated again. What penalties ask for, the gradient at the input, is a convolution too.
      if (needed[0]) {
        const auto mirror = c10::make_intrusive<Convolution>(conv->mirrored(delta, input, weight));
        of_input = apply(delta, weight, std::nullopt, mirror);
      }
      if (needed[1] || needed[2]) {
        std::tie(std::ignore, of_weight, of_bias) =
            conv->plain_gradients(delta, input, weight, {false, needed[1], needed[2]});
      }
      return {of_input, of_weight, of_bias, at::Tensor()};
    }
    if (needed[0]) of_input = conv->input_gradient(delta, input, weight);
    if (needed[1]) {
      std::tie(of_weight, of_bias) = conv->weight_gradient(delta, input, weight, needed[2]);
    } else if (needed[2]) {
      of_bias = sum_spatial(delta).sum(0);
    }
    return {of_input, of_weight, of_bias, at::Tensor()};
  }
};

}  // namespace

}  // namespace tandem

using namespace tandem;

extern "C" {

char* tandem_ext_conv(const at::Tensor* input, const at::Tensor* weight, const at::Tensor* bias,
                      const ConvShape* shape, at::Tensor** out) {
  return guard([&] {
    const auto conv = c10::make_intrusive<Convolution>(*shape, *input, *weight);
    *out = new at::Tensor(conv->is_ours() ? OwnConv::apply(*input, *weight, optional(bias), conv)
                                             : conv->forward(*input, *weight, optional(bias)));
  });
}

}  // extern "C"
