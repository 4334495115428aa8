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
// What the transformed weights of some channels may take; those of wide layers would fill gigabytes.
constexpr int64_t GROUP_BYTES = 32 << 20;
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

// A bias as the kernels read it.
std::optional<at::Tensor> in_order(const std::optional<at::Tensor>& bias, int64_t channels, const at::Tensor& map) {
  if (!bias.has_value()) return bias;
  TORCH_CHECK(bias->sizes() == at::IntArrayRef{channels} && bias->scalar_type() == map.scalar_type(),
              "expected a bias [", channels, "] of ", map.scalar_type(), ", found ", bias->sizes(), " of ",
              bias->scalar_type());
  return bias->contiguous();
}

template <class F>
void in_parallel(Range all, F&& body) {
  at::parallel_for(all.begin, all.end, 1, [&](int64_t begin, int64_t end) { body(Range{begin, end}); });
}

// Room for transformed values, kept from pass to pass: allocated anew each time it would tear holes into the heap.
void* workspace(size_t slot, int64_t bytes) {
  thread_local std::array<at::Tensor, 4> held;
  auto& room = held[slot];
  if (!room.defined() || room.numel() < bytes) {
    room = at::Tensor();
    room = at::empty({bytes}, at::kByte);
  }
  return room.mutable_data_ptr();
}

constexpr size_t WEIGHTS = 0, LEFT = 1, RIGHT = 2, PLANE = 3;

// `body` for every point and pair of places (the last may be single).
template <class F>
void each_product(int64_t points, int64_t places, F&& body) {
  const auto pairs = up_to(places, 2);
  in_parallel({0, points * pairs}, [&](Range items) {
    for (int64_t i = items.begin; i < items.end; ++i) {
      const auto place = i % pairs * 2;
      body(i / pairs, place, std::min<int64_t>(2, places - place));
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
  plan.bytes_ = *kind == Element::float64 ? 8 : 4;
  z.tiles_h = up_to(z.h, plan.kernels_->m), z.tiles_w = up_to(z.w, plan.kernels_->m);
  return plan;
}

template <class F>
void WinogradConv::each_part(F&& body) const {
  const auto& z = sizes_;
  const auto row_bytes = kernels_->points * (z.a + z.channels()) * bytes_;
  const auto rows = std::max(PART_ROWS, PART_BYTES / row_bytes);
  const auto images = std::clamp<int64_t>(rows / z.tiles(), 1, z.images);
  for (int64_t first = 0; first < z.images; first += images) {
    const auto here = std::min(images, z.images - first);
    body(Part{first * z.tiles(), here * z.tiles(), first, here, here == z.images});
  }
}

template <class F>
void WinogradConv::each_group(int64_t blocks, int64_t bytes, F&& body) {
  // Even, for pairs of blocks.
  const auto most = std::max<int64_t>(2, GROUP_BYTES / bytes / 2 * 2);
  for (int64_t first = 0; first < blocks; first += most) body(Range{first, std::min(first + most, blocks)});
}

Blocks WinogradConv::room(size_t slot, Range blocks, int64_t phases, int64_t rows) const {
  // A few rows more, so that the same row of each point does not fall into the same set of a cache.
  const auto point = (phases * blocks.size() * rows + 5) * kernels_->lanes;
  return {workspace(slot, kernels_->points * point * bytes_), blocks, rows, point};
}

void* WinogradConv::block_at(const Blocks& of, int64_t point, int64_t place) const {
  return static_cast<char*>(of.data) + (point * of.point + place * of.rows * kernels_->lanes) * bytes_;
}

at::Tensor WinogradConv::down(const at::Tensor& large, const at::Tensor& weight,
                              const std::optional<at::Tensor>& bias) const {
  const auto &z = sizes_;
  const auto &k = *kernels_;
  const auto from = last(large), weights = last(weight);
  const auto shift = in_order(bias, z.a, large);
  auto out = at::empty({z.images, z.a, z.h, z.w}, large.options(), at::MemoryFormat::ChannelsLast);
  const Range of_large{0, z.b / k.lanes};
  each_group(z.a / k.lanes, k.points * z.channels() * k.lanes * bytes_, [&](Range group) {
    const auto u = room(WEIGHTS, group, 1, z.channels());
    in_parallel(group, [&](Range blocks) { k.weights_by_a(z, data(weights), blocks, u); });
    each_part([&](const Part& part) {
      const auto v = room(LEFT, of_large, z.phases(), part.rows), m = room(RIGHT, group, 1, part.rows);
      const Range all{0, part.rows};
      if (!part.whole || group.begin == 0) {
        in_parallel(all, [&](Range tiles) { k.gather(z, data(from), part.first_tile, tiles, v); });
      }
      each_product(k.points, group.size(), [&](int64_t p, int64_t place, int64_t places) {
        k.product(block_at(v, p, 0), part.rows, z.channels(), block_at(u, p, place), u.rows, block_at(m, p, place), part.rows, places);
      });
      in_parallel(all, [&](Range tiles) {
        k.collect(z, m, part.first_tile, tiles, data(shift), out.mutable_data_ptr());
      });
    });
  });
  return out;
}

at::Tensor WinogradConv::up(const at::Tensor& small, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) const {
  const auto &z = sizes_;
  const auto &k = *kernels_;
  const auto from = last(small), weights = last(weight);
  const auto shift = in_order(bias, z.b, small);
  auto out = at::empty({z.images, z.b, z.large_h, z.large_w}, small.options(), at::MemoryFormat::ChannelsLast);
  const auto plane_bytes = z.large_h * z.large_w * k.lanes * bytes_;
  const Range of_small{0, z.a / k.lanes};
  each_group(z.b / k.lanes, k.points * z.phases() * z.a * k.lanes * bytes_, [&](Range group) {
    const auto u = room(WEIGHTS, group, z.phases(), z.a);
    in_parallel(group, [&](Range blocks) { k.weights_by_b(z, data(weights), blocks, u); });
    each_part([&](const Part& part) {
      const auto m = room(LEFT, of_small, 1, part.rows), v = room(RIGHT, group, z.phases(), part.rows);
      if (!part.whole || group.begin == 0) {
        in_parallel({0, part.rows}, [&](Range tiles) { k.spread(z, data(from), part.first_tile, tiles, m); });
      }
      each_product(k.points, z.phases() * group.size(), [&](int64_t p, int64_t place, int64_t places) {
        k.product(block_at(m, p, 0), part.rows, z.a, block_at(u, p, place), u.rows, block_at(v, p, place), part.rows, places);
      });
      in_parallel({0, part.images * group.size()}, [&](Range planes) {
        void* plane = workspace(PLANE, plane_bytes);
        for (int64_t i = planes.begin; i < planes.end; ++i) {
          k.scatter(z, v, part.first_tile, part.first_image + i / group.size(), group.begin + i % group.size(),
                    data(shift), plane, out.mutable_data_ptr());
        }
      });
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
  const Range of_small{0, z.a / k.lanes};
  each_group(z.b / k.lanes, k.points * z.phases() * z.a * k.lanes * bytes_, [&](Range group) {
    const auto u = room(WEIGHTS, group, z.phases(), z.a);
    each_part([&](const Part& part) {
      const auto m = room(LEFT, of_small, 1, part.rows), v = room(RIGHT, group, z.phases(), part.rows);
      const bool spread = !part.whole || group.begin == 0;
      in_parallel({0, part.rows}, [&](Range tiles) {
        k.gather(z, data(from_large), part.first_tile, tiles, v);
        if (spread) k.spread(z, data(from_small), part.first_tile, tiles, m);
      });
      each_product(k.points, z.phases() * group.size(), [&](int64_t p, int64_t place, int64_t places) {
        k.outer(block_at(m, p, 0), z.a, part.rows, block_at(v, p, place), block_at(u, p, place), places, part.first_tile > 0);
      });
    });
    in_parallel(group, [&](Range blocks) { k.weights_back(z, u, blocks, out.mutable_data_ptr()); });
  });
  return out;
}

}  // namespace tandem
