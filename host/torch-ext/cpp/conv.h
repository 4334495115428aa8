// Convolutions, whose passes take the quickest way on the CPU.
//
// A convolution joins a small map [N, A, h, w] (its output; its input if transposed) and a large one [N, B, H, W]
// through weights [A, B, kh, kw]. Where the small map is a single position a convolution is a matrix product, and where it
// has few of them the weights' gradient is one over the large map's windows: oneDNN is slow there
// (docs/decisions/0005-small-maps-are-matrix-products.md). Of the others, those that winograd.h serves take fewer
// multiplications (0006-fewer-multiplications.md). The rest is libtorch's, but that a 1x1 kernel with strides is never
// handed to it where oneDNN would write past its memory (0010-a-strided-point-is-a-slice.md).
#pragma once

#include <ATen/core/ivalue.h>

#include <array>
#include <tuple>

#include "ext.h"
#include "winograd_conv.h"

namespace tandem {

// As Rust hands it over.
struct ConvShape {
  Ints stride, padding, output_padding, dilation;
  int64_t groups;
  bool transposed;
};

class Convolution : public torch::CustomClassHolder {
 public:
  Convolution(const ConvShape& shape, const at::Tensor& input, const at::Tensor& weight);

  // Whether any pass is our own.
  bool is_ours() const { return sliced_ || few_positions_ || winograd_.has_value(); }
  // The convolution that gives this one's gradient at an input of these sizes: transposed if this is not, and so on.
  Convolution mirrored(const at::Tensor& delta, const at::Tensor& input, const at::Tensor& weight) const;

  at::Tensor forward(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias) const;
  at::Tensor input_gradient(const at::Tensor& delta, const at::Tensor& input, const at::Tensor& weight) const;
  // Of the weight, and of the bias where it is asked for.
  std::tuple<at::Tensor, at::Tensor> weight_gradient(const at::Tensor& delta, const at::Tensor& input,
                                                     const at::Tensor& weight, bool bias) const;
  // libtorch's own, which it can differentiate again.
  std::tuple<at::Tensor, at::Tensor, at::Tensor> plain_gradients(const at::Tensor& delta, const at::Tensor& input,
                                                                 const at::Tensor& weight,
                                                                 std::array<bool, 3> mask) const;

 private:
  void choose(const at::Tensor& input, const at::Tensor& weight);
  // Of the large map what a 1x1 kernel sees, and its inverse: a large map of these sizes with zeros between.
  at::Tensor seen(const at::Tensor& large) const;
  at::Tensor spread(const at::Tensor& seen, at::IntArrayRef large) const;
  at::Tensor sliced_forward(const at::Tensor& input, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) const;
  at::Tensor windows(const at::Tensor& large, const at::Tensor& weight) const;

  std::vector<int64_t> stride_, padding_, output_padding_, dilation_;
  int64_t groups_;
  bool transposed_;
  bool sliced_ = false;
  bool few_positions_ = false;
  bool one_position_ = false;
  std::optional<WinogradConv> winograd_;
  bool winograd_maps_ = false;
};

// The sum over every dimension but the first two.
at::Tensor sum_spatial(const at::Tensor& delta);

}  // namespace tandem
