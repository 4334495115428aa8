// Convolutions in few multiplications, on the CPU (Winograd 1980; Lavin and Gray, CVPR 2016).
//
// m x m outputs of a correlation with r x r weights need (m + r - 1)^2 multiplications instead of (m r)^2: both sides
// are transformed, multiplied point by point, summed over channels as a matrix product, and transformed back. A
// convolution of stride s with a kernel of s r is one of stride 1 with a kernel of r over s x s times the channels: its
// phases. So kernels of 3x3 with stride 1 (r = 3) and of 4x4 with stride 2 (r = 2) are served, DCGAN's and ResNets'.
//
// As in conv.h, a small map [N, A, h, w] and a large one [N, B, H, W] are joined by weights [A, B, kh, kw]; with
// transforms linear, the way from small to large and the weights' gradient are adjoints of the same steps.
//
// Here is what each instruction set provides; `winograd.cpp` puts the passes together.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tandem::winograd {

// Sizes of one convolution. Channels are multiples of a vector's lanes; memory is channels-last.
struct Sizes {
  int64_t images, a, b;           // N, A, B
  int64_t h, w, large_h, large_w; // the maps
  int64_t stride, padding;        // equal in both dimensions
  int64_t tiles_h, tiles_w;       // of m x m positions of the small map

  int64_t phases() const { return stride * stride; }
  int64_t channels() const { return phases() * b; }  // of the large map with its phases
  int64_t tiles() const { return tiles_h * tiles_w; }
};

struct Range {
  int64_t begin, end;

  int64_t size() const { return end - begin; }
};

// Values of one transformed side of a product, [point][channel / lanes][row][channel % lanes]. `blocks` of the channels
// are held; the large map has as many in each phase.
struct Blocks {
  void* data;
  Range blocks;
  int64_t rows;
  int64_t point;  // elements from one point to the next
};

// A kernel and an output size (r, m) on one element type and instruction set. Rows of maps' blocks are tiles, counted
// from `first`, the first tile in the blocks; rows of the weights' are the channels of the other side. A range of tiles,
// rows or blocks says which part of the whole a call does.
struct Kernels {
  int64_t lanes, points, m;
  // Large map to blocks; tiles of the blocks.
  void (*gather)(const Sizes&, const void* large, int64_t first, Range tiles, Blocks);
  // Small map to blocks, the adjoint of `collect`.
  void (*spread)(const Sizes&, const void* small, int64_t first, Range tiles, Blocks);
  // Blocks to small map; `bias` may be null.
  void (*collect)(const Sizes&, Blocks, int64_t first, Range tiles, const void* bias, void* small);
  // Blocks to the large map of one image and one block of its channels; `plane` has room for these.
  void (*scatter)(const Sizes&, Blocks, int64_t first, int64_t image, int64_t block, const void* bias, void* plane,
                  void* large);
  // Weights [A, kh, kw, B] to blocks: rows are the large map's channels, or the small one's.
  void (*weights_by_a)(const Sizes&, const void* weight, Range a_blocks, Blocks);
  void (*weights_by_b)(const Sizes&, const void* weight, Range b_blocks, Blocks);
  // The adjoint of `weights_by_b`.
  void (*weights_back)(const Sizes&, Blocks, Range b_blocks, void* weight);
  // One point: rows of `out` in one or two blocks are `left`'s rows times `right`'s, summed over `depth` channels.
  void (*product)(const void* left, int64_t rows, int64_t depth, const void* right, int64_t right_rows, void* out,
                  int64_t out_rows, int64_t blocks);
  // One point: `out` (+)= sum over rows of `left`'s channels times `right`'s in one or two blocks.
  void (*outer)(const void* left, int64_t channels, int64_t rows, const void* right, void* out, int64_t blocks,
                bool add);
};

enum class Element { float32, float64, bfloat16 };

// For processors that have the instructions; null where they were not built.
const Kernels* avx512(Element, int64_t r, int64_t m);
const Kernels* avx2(Element, int64_t r, int64_t m);

}  // namespace tandem::winograd
