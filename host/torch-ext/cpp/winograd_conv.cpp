#include "winograd_conv.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/empty.h>

#include <algorithm>

namespace tandem {

using namespace winograd;

namespace {

// Below this many channels on either side the transforms cost more than they save.
constexpr int64_t FEW_CHANNELS = 32;
// What a part's transformed maps may take, so that they stay in the cache between the steps.
constexpr int64_t PART_BYTES = 4 << 20;
// Each part reads all transformed weights: it should have rows enough to be worth that.
constexpr int64_t PART_ROWS = 128;
// How many rows' products cost as much as making and reading the transformed weights once.
constexpr int64_t WEIGHTS_IN_ROWS = 48;

std::optional<Element> element(at::ScalarType kind) {
  switch (kind) {
    case at::kFloat: return Element::float32;
    case at::kDouble: return Element::float64;
    case at::kBFloat16: return Element::bfloat16;
    default: return std::nullopt;
  }
}

// As the transformed values are kept.
at::ScalarType computed(at::ScalarType kind) { return kind == at::kBFloat16 ? at::kFloat : kind; }

int64_t up_to(int64_t value, int64_t step) { return (value + step - 1) / step; }

// As libtorch's own: `ATEN_CPU_CAPABILITY` limits both.
const Kernels* kernels(Element element, int64_t r, int64_t m) {
  const auto capability = at::get_cpu_capability();
  if (capability == "AVX512") return avx512(element, r, m);
  return capability == "AVX2" ? avx2(element, r, m) : nullptr;
}

// The output size with the least work: fewer multiplications against more transformed weights.
int64_t cheapest(const Sizes& z, int64_t r) {
  const auto cost = [&](int64_t m) {
    const auto points = (m + r - 1) * (m + r - 1);
    return points * (z.images * up_to(z.h, m) * up_to(z.w, m) + WEIGHTS_IN_ROWS);
  };
  return cost(4) <= cost(2) ? 4 : 2;
}

at::Tensor last(const at::Tensor& map) { return map.contiguous(at::MemoryFormat::ChannelsLast); }

const void* data(const at::Tensor& tensor) { return tensor.const_data_ptr(); }
const void* data(const std::optional<at::Tensor>& tensor) {
  return tensor.has_value() ? tensor->const_data_ptr() : nullptr;
}

void* point(const Blocks& blocks, int64_t p, int64_t block, int64_t lanes, int64_t bytes) {
  return static_cast<char*>(blocks.data) + (p * blocks.point + block * blocks.rows * lanes) * bytes;
}

template <class F>
void in_parallel(int64_t count, F&& body) {
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) { body(Range{begin, end}); });
}

// `body` for every point and pair of blocks (the last may be single).
template <class F>
void each_product(int64_t points, int64_t blocks, F&& body) {
  const auto pairs = up_to(blocks, 2);
  in_parallel(points * pairs, [&](Range items) {
    for (int64_t i = items.begin; i < items.end; ++i) {
      const auto block = i % pairs * 2;
      body(i / pairs, block, std::min<int64_t>(2, blocks - block));
    }
  });
}

}  // namespace

std::optional<WinogradConv> WinogradConv::plan(at::ScalarType element_kind, int64_t images, const Map& small,
                                               const Map& large, at::IntArrayRef weight, int64_t stride,
                                               int64_t padding) {
  const auto kind = element(element_kind);
  const auto side = weight[2];
  const bool served = weight[3] == side && ((stride == 1 && side == 3) || (stride == 2 && side == 4));
  if (!kind || !served || padding < 0 || padding >= side || images == 0 || std::min(small[0], small[1]) < 1 ||
      std::min(weight[0], weight[1]) < FEW_CHANNELS) {
    return std::nullopt;
  }
  WinogradConv plan;
  auto& z = plan.sizes_;
  z = {images, weight[0], weight[1], small[0], small[1], large[0], large[1], stride, padding, 0, 0};
  plan.kernels_ = kernels(*kind, side / stride, cheapest(z, side / stride));
  if (!plan.kernels_ || z.a % plan.kernels_->lanes != 0 || z.b % plan.kernels_->lanes != 0) return std::nullopt;
  z.tiles_h = up_to(z.h, plan.kernels_->m), z.tiles_w = up_to(z.w, plan.kernels_->m);
  return plan;
}

template <class F>
void WinogradConv::each_part(F&& body) const {
  const auto& z = sizes_;
  const auto row_bytes = kernels_->points * (z.a + z.channels()) * 4;
  const auto rows = std::max(PART_ROWS, PART_BYTES / row_bytes);
  const auto images = std::clamp<int64_t>(rows / z.tiles(), 1, z.images);
  for (int64_t first = 0; first < z.images; first += images) {
    const auto here = std::min(images, z.images - first);
    body(Part{first * z.tiles(), here * z.tiles(), first, here});
  }
}

Blocks WinogradConv::room(at::Tensor& held, const at::Tensor& like, int64_t channels, int64_t rows) const {
  // A few rows more, so that the same row of each point does not fall into the same set of a cache.
  const auto point = channels * rows + 5 * kernels_->lanes;
  if (!held.defined() || held.numel() < kernels_->points * point) {
    held = at::empty({kernels_->points * point}, like.options().dtype(computed(like.scalar_type())));
  }
  return {held.mutable_data_ptr(), rows, point};
}

at::Tensor WinogradConv::down(const at::Tensor& large, const at::Tensor& weight,
                              const std::optional<at::Tensor>& bias) const {
  const auto &z = sizes_;
  const auto &k = *kernels_;
  const auto from = last(large), weights = last(weight);
  auto out = at::empty({z.images, z.a, z.h, z.w}, large.options(), at::MemoryFormat::ChannelsLast);
  at::Tensor held[3];
  const auto bytes = static_cast<int64_t>(at::elementSize(computed(large.scalar_type())));
  const auto u = room(held[0], large, z.a, z.channels());
  in_parallel(z.a / k.lanes, [&](Range blocks) { k.weights_by_a(z, data(weights), blocks, u); });
  each_part([&](const Part& part) {
    const auto v = room(held[1], large, z.channels(), part.rows), m = room(held[2], large, z.a, part.rows);
    in_parallel(part.rows, [&](Range tiles) { k.gather(z, data(from), part.first_tile, tiles, v); });
    each_product(k.points, z.a / k.lanes, [&](int64_t p, int64_t block, int64_t blocks) {
      k.product(point(v, p, 0, k.lanes, bytes), part.rows, z.channels(), point(u, p, block, k.lanes, bytes), u.rows,
                point(m, p, block, k.lanes, bytes), part.rows, blocks);
    });
    in_parallel(part.rows, [&](Range tiles) {
      k.collect(z, m, part.first_tile, tiles, data(bias), out.mutable_data_ptr());
    });
  });
  return out;
}

at::Tensor WinogradConv::up(const at::Tensor& small, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) const {
  const auto &z = sizes_;
  const auto &k = *kernels_;
  const auto from = last(small), weights = last(weight);
  auto out = at::empty({z.images, z.b, z.large_h, z.large_w}, small.options(), at::MemoryFormat::ChannelsLast);
  at::Tensor held[3];
  const auto wide = small.options().dtype(computed(small.scalar_type()));
  const auto bytes = static_cast<int64_t>(wide.dtype().itemsize());
  const auto u = room(held[0], small, z.channels(), z.a);
  in_parallel(z.b / k.lanes, [&](Range blocks) { k.weights_by_b(z, data(weights), blocks, u); });
  each_part([&](const Part& part) {
    const auto m = room(held[1], small, z.a, part.rows), v = room(held[2], small, z.channels(), part.rows);
    in_parallel(part.rows, [&](Range tiles) { k.spread(z, data(from), part.first_tile, tiles, m); });
    each_product(k.points, z.channels() / k.lanes, [&](int64_t p, int64_t block, int64_t blocks) {
      k.product(point(m, p, 0, k.lanes, bytes), part.rows, z.a, point(u, p, block, k.lanes, bytes), u.rows,
                point(v, p, block, k.lanes, bytes), part.rows, blocks);
    });
    const auto blocks = z.b / k.lanes;
    in_parallel(part.images * blocks, [&](Range planes) {
      auto plane = at::empty({z.large_h * z.large_w * k.lanes}, wide);
      for (int64_t i = planes.begin; i < planes.end; ++i) {
        k.scatter(z, v, part.first_tile, part.first_image + i / blocks, i % blocks, data(bias),
                  plane.mutable_data_ptr(), out.mutable_data_ptr());
      }
    });
  });
  return out;
}

at::Tensor WinogradConv::weight_gradient(const at::Tensor& large, const at::Tensor& small,
                                         at::IntArrayRef weight) const {
  const auto &z = sizes_;
  const auto &k = *kernels_;
  const auto from_large = last(large), from_small = last(small);
  auto out = at::empty(weight, large.options(), at::MemoryFormat::ChannelsLast);
  at::Tensor held[3];
  const auto bytes = static_cast<int64_t>(at::elementSize(computed(large.scalar_type())));
  const auto u = room(held[0], large, z.channels(), z.a);
  each_part([&](const Part& part) {
    const auto v = room(held[1], large, z.channels(), part.rows), m = room(held[2], large, z.a, part.rows);
    in_parallel(part.rows, [&](Range tiles) {
      k.gather(z, data(from_large), part.first_tile, tiles, v);
      k.spread(z, data(from_small), part.first_tile, tiles, m);
    });
    each_product(k.points, z.channels() / k.lanes, [&](int64_t p, int64_t block, int64_t blocks) {
      k.outer(point(m, p, 0, k.lanes, bytes), z.a, part.rows, point(v, p, block, k.lanes, bytes),
              point(u, p, block, k.lanes, bytes), blocks, part.first_tile > 0);
    });
  });
  in_parallel(z.b / k.lanes, [&](Range blocks) { k.weights_back(z, u, blocks, out.mutable_data_ptr()); });
  return out;
}

}  // namespace tandem
