// A convolution by `winograd.h`'s kernels.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>

#include "winograd.h"

namespace tandem {

class WinogradConv {
 public:
  using Map = std::array<int64_t, 2>;

  // For maps of these sizes; nothing where the kernel is none of ours, the processor too old or the channels too few.
  static std::optional<WinogradConv> plan(at::ScalarType kind, int64_t images, const Map& small, const Map& large,
                                          at::IntArrayRef weight, int64_t stride, int64_t padding);

  // The small map from the large one: a convolution.
  at::Tensor down(const at::Tensor& large, const at::Tensor& weight, const std::optional<at::Tensor>& bias) const;
  // The large map from the small one: a transposed convolution, or a convolution's gradient at its input.
  at::Tensor up(const at::Tensor& small, const at::Tensor& weight, const std::optional<at::Tensor>& bias) const;
  at::Tensor weight_gradient(const at::Tensor& large, const at::Tensor& small, at::IntArrayRef weight) const;

 private:
  // Some images, whose tiles are transformed and multiplied together.
  struct Part {
    int64_t first_tile, rows, first_image, images;
    bool whole;  // all images
  };
  template <class F>
  void each_part(F&& body) const;
  // `body` for ranges of `blocks`, whose transformed weights take `bytes` a block, few enough for the cache.
  template <class F>
  static void each_group(int64_t blocks, int64_t bytes, F&& body);
  winograd::Blocks room(size_t slot, winograd::Range blocks, int64_t phases, int64_t rows) const;
  // The first value of a block in a point.
  void* block_at(const winograd::Blocks& of, int64_t point, int64_t place) const;

  winograd::Sizes sizes_{};
  const winograd::Kernels* kernels_ = nullptr;
  int64_t bytes_ = 0;  // of a transformed value
};

}  // namespace tandem
