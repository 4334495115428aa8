// The kernels for one instruction set: included by each `winograd_*.cpp` after its target pragma, with the length of
// its vectors. Nothing here is inline outside of the including file, so no processor meets another's instructions.
//
// A row of a block is one vector, and each store fills a row: the strided writes of the transforms waste no bandwidth,
// and products read their operands in order.

#ifndef WINOGRAD_VECTOR_BYTES
#error "include this from a file for one instruction set"
#endif

namespace tandem::winograd {
namespace {

#define WINOGRAD_INLINE inline __attribute__((always_inline))

// bfloat16 as it lies in memory.
struct Narrow {
  uint16_t bits;
};

// What an element is computed in.
template <class S>
struct Computed {
  using type = S;
};
template <>
struct Computed<Narrow> {
  using type = float;
};

template <class S>
struct Lanes {
  using T = typename Computed<S>::type;
  static constexpr int64_t count = WINOGRAD_VECTOR_BYTES / sizeof(T);
  typedef T Vector __attribute__((vector_size(WINOGRAD_VECTOR_BYTES)));
  typedef T Unaligned __attribute__((vector_size(WINOGRAD_VECTOR_BYTES), aligned(alignof(T)), may_alias));
};

template <class T>
using Vector = typename Lanes<T>::Vector;

template <class T>
WINOGRAD_INLINE Vector<T> load(const T* from) {
  return *reinterpret_cast<const typename Lanes<T>::Unaligned*>(from);
}

template <class T>
WINOGRAD_INLINE void store(T* to, const Vector<T>& value) {
  *reinterpret_cast<typename Lanes<T>::Unaligned*>(to) = value;
}

typedef uint16_t Halves __attribute__((vector_size(WINOGRAD_VECTOR_BYTES / 2), aligned(2), may_alias));
typedef uint32_t Words __attribute__((vector_size(WINOGRAD_VECTOR_BYTES)));

WINOGRAD_INLINE Vector<float> load(const Narrow* from) {
  const auto words = __builtin_convertvector(*reinterpret_cast<const Halves*>(from), Words) << 16;
  return (Vector<float>)words;
}

// To the nearest, ties to even.
WINOGRAD_INLINE void store(Narrow* to, const Vector<float>& value) {
  const auto words = (Words)value;
  const auto rounded = (words + 0x7fff + ((words >> 16) & 1)) >> 16;
  const Words nan = Words{} + 0x7fc0;
  *reinterpret_cast<Halves*>(to) = __builtin_convertvector(value == value ? rounded : nan, Halves);
}

template <class F, size_t... I>
WINOGRAD_INLINE void each(F&& body, std::index_sequence<I...>) {
  (body(std::integral_constant<size_t, I>{}), ...);
}

// `body` for 0 .. N, each a constant.
template <size_t N, class F>
WINOGRAD_INLINE void each(F&& body) {
  each(body, std::make_index_sequence<N>{});
}

template <class X>
struct Input {
  static constexpr auto matrix = X::input();
};
template <class X>
struct Kernel {
  static constexpr auto matrix = X::kernel();
};
template <class X>
struct Output {
  static constexpr auto matrix = X::output();
};
template <class X>
struct Adjoint {
  static constexpr auto matrix = transposed(X::matrix);
};

// The first coefficient that is not 0; every row has one.
template <size_t N>
constexpr size_t first_of(const std::array<double, N>& row) {
  size_t i = 0;
  while (row[i] == 0) ++i;
  return i;
}

// out = M in, elements `IN` and `OUT` apart.
template <class M, size_t IN, size_t OUT, class T>
WINOGRAD_INLINE void along(const Vector<T>* in, Vector<T>* out) {
  constexpr size_t rows = M::matrix.size(), columns = M::matrix[0].size();
  each<rows>([&](auto i) __attribute__((always_inline)) {
    constexpr size_t first = first_of(M::matrix[i]);
    Vector<T> sum = static_cast<T>(M::matrix[i][first]) * in[first * IN];
    each<columns - first - 1>([&](auto rest) __attribute__((always_inline)) {
      constexpr size_t k = first + 1 + rest;
      constexpr double c = M::matrix[i][k];
      if constexpr (c != 0) sum += static_cast<T>(c) * in[k * IN];
    });
    out[i * OUT] = sum;
  });
}

// out = M in M^T
template <class M, class T>
WINOGRAD_INLINE void both_ways(const Vector<T>* in, Vector<T>* out) {
  constexpr size_t rows = M::matrix.size(), columns = M::matrix[0].size();
  Vector<T> half[rows * columns];
  for (size_t k = 0; k < columns; ++k) along<M, columns, columns, T>(in + k, half + k);
  for (size_t i = 0; i < rows; ++i) along<M, 1, 1, T>(half + i * columns, out + i * rows);
}

// A tile of the small map.
struct Tile {
  int64_t image, y, x;

  Tile(const Sizes& z, int64_t m, int64_t index)
      : image(index / z.tiles()), y(index % z.tiles() / z.tiles_w * m), x(index % z.tiles_w * m) {}
};

// N x N elements of a map, `stride` positions apart; those outside of it are left out.
template <size_t N, class S>
struct Window {
  S* base;
  int64_t row, column;  // elements from one to the next
  int64_t top, bottom, left, right;

  Window(S* map, int64_t h, int64_t w, int64_t channels, int64_t image, int64_t y, int64_t x, int64_t stride)
      : base(map + ((image * h + y) * w + x) * channels), row(stride * w * channels), column(stride * channels),
        top(before(y, stride)), bottom(until(y, stride, h)), left(before(x, stride)), right(until(x, stride, w)) {}

  // How many of N elements from `at` on lie before 0, and how many before `size`.
  static int64_t before(int64_t at, int64_t stride) { return at < 0 ? (stride - 1 - at) / stride : 0; }
  static int64_t until(int64_t at, int64_t stride, int64_t size) {
    const auto count = (size - at + stride - 1) / stride;
    return count < static_cast<int64_t>(N) ? count : N;
  }

  bool whole() const { return top == 0 && left == 0 && bottom == N && right == N; }

  // `body` with the place of each element and its index.
  template <class F>
  WINOGRAD_INLINE void visit(int64_t offset, F&& body) const {
    if (whole()) {
      each<N>([&](auto i) __attribute__((always_inline)) {
        each<N>([&](auto k) __attribute__((always_inline)) { body(base + offset + i * row + k * column, i * N + k); });
      });
    } else {
      for (int64_t i = top; i < bottom; ++i) {
        for (int64_t k = left; k < right; ++k) body(base + offset + i * row + k * column, i * N + k);
      }
    }
  }

  template <class V>
  WINOGRAD_INLINE void read(int64_t offset, V* out) const {
    if (!whole()) {
      for (size_t i = 0; i < N * N; ++i) out[i] = V{};
    }
    visit(offset, [&](S* at, size_t i) __attribute__((always_inline)) { out[i] = load(at); });
  }
};

template <class X, class S>
struct Passes {
  using T = typename Computed<S>::type;
  using V = Vector<T>;
  static constexpr size_t P = X::points, M = X::m, R = X::r;
  static constexpr int64_t L = Lanes<T>::count;

  static T* row(const Blocks& of, int64_t phase, int64_t block, int64_t row) {
    const auto place = phase * of.blocks.size() + block - of.blocks.begin;
    return static_cast<T*>(of.data) + (place * of.rows + row) * L;
  }

  static WINOGRAD_INLINE void write_points(const Blocks& to, int64_t phase, int64_t block, int64_t at,
                                           const V* values) {
    T* out = row(to, phase, block, at);
    for (size_t p = 0; p < P * P; ++p) store(out + p * to.point, values[p]);
  }

  static WINOGRAD_INLINE void read_points(const Blocks& from, int64_t phase, int64_t block, int64_t at, V* values) {
    const T* in = row(from, phase, block, at);
    for (size_t p = 0; p < P * P; ++p) values[p] = load(in + p * from.point);
  }

  static V bias_of(const void* bias, int64_t block) {
    return bias ? load(static_cast<const S*>(bias) + block * L) : V{};
  }

  // What a tile sees of one phase of the large map, or of a plane of it.
  template <class E>
  static Window<P, E> window_of(const Sizes& z, E* large, int64_t channels, const Tile& tile, int64_t phase) {
    const auto y = z.stride * tile.y + phase / z.stride - z.padding;
    const auto x = z.stride * tile.x + phase % z.stride - z.padding;
    return {large, z.large_h, z.large_w, channels, tile.image, y, x, z.stride};
  }

  static void gather(const Sizes& z, const void* large, int64_t first, Range tiles, Blocks to) {
    for (int64_t i = 0; i < z.phases() * to.blocks.size(); ++i) {
      const auto phase = i / to.blocks.size(), block = to.blocks.begin + i % to.blocks.size();
      for (int64_t t = tiles.begin; t < tiles.end; ++t) {
        V in[P * P], out[P * P];
        window_of(z, static_cast<const S*>(large), z.b, Tile(z, M, first + t), phase).read(block * L, in);
        both_ways<Input<X>, T>(in, out);
        write_points(to, phase, block, t, out);
      }
    }
  }

  static void spread(const Sizes& z, const void* small, int64_t first, Range tiles, Blocks to) {
    for (int64_t block = to.blocks.begin; block < to.blocks.end; ++block) {
      for (int64_t t = tiles.begin; t < tiles.end; ++t) {
        const Tile tile(z, M, first + t);
        V in[M * M], out[P * P];
        Window<M, const S>(static_cast<const S*>(small), z.h, z.w, z.a, tile.image, tile.y, tile.x, 1)
            .read(block * L, in);
        both_ways<Adjoint<Output<X>>, T>(in, out);
        write_points(to, 0, block, t, out);
      }
    }
  }

  static void collect(const Sizes& z, Blocks from, int64_t first, Range tiles, const void* bias, void* small) {
    for (int64_t block = from.blocks.begin; block < from.blocks.end; ++block) {
      const V shift = bias_of(bias, block);
      for (int64_t t = tiles.begin; t < tiles.end; ++t) {
        const Tile tile(z, M, first + t);
        V in[P * P], out[M * M];
        read_points(from, 0, block, t, in);
        both_ways<Output<X>, T>(in, out);
        Window<M, S>(static_cast<S*>(small), z.h, z.w, z.a, tile.image, tile.y, tile.x, 1)
            .visit(block * L, [&](S* at, size_t i) __attribute__((always_inline)) { store(at, out[i] + shift); });
      }
    }
  }

  static void scatter(const Sizes& z, Blocks from, int64_t first, int64_t image, int64_t block, const void* bias,
                      void* plane, void* large) {
    auto* sums = static_cast<T*>(plane);
    const V shift = bias_of(bias, block);
    const int64_t positions = z.large_h * z.large_w;
    for (int64_t i = 0; i < positions; ++i) store(sums + i * L, shift);
    for (int64_t t = image * z.tiles(); t < (image + 1) * z.tiles(); ++t) {
      Tile tile(z, M, t);
      tile.image = 0;
      for (int64_t phase = 0; phase < z.phases(); ++phase) {
        V in[P * P], out[P * P];
        read_points(from, phase, block, t - first, in);
        both_ways<Adjoint<Input<X>>, T>(in, out);
        window_of(z, sums, L, tile, phase).visit(0, [&](T* at, size_t i) __attribute__((always_inline)) {
          store(at, load(at) + out[i]);
        });
      }
    }
    S* out = static_cast<S*>(large) + image * positions * z.b + block * L;
    for (int64_t i = 0; i < positions; ++i) store(out + i * z.b, load(sums + i * L));
  }

  // The weights of a phase at tap (i, k), for channel `a` and from `b` on.
  template <class W>
  static W* tap(const Sizes& z, W* weight, int64_t phase, size_t i, size_t k, int64_t a, int64_t b) {
    const int64_t side = z.stride * R;
    const int64_t y = z.stride * static_cast<int64_t>(i) + phase / z.stride;
    const int64_t x = z.stride * static_cast<int64_t>(k) + phase % z.stride;
    return weight + ((a * side + y) * side + x) * z.b + b;
  }

  static void weights_by_a(const Sizes& z, const void* weight, Range a_blocks, Blocks to) {
    for (int64_t block = a_blocks.begin; block < a_blocks.end; ++block) {
      for (int64_t phase = 0; phase < z.phases(); ++phase) {
        for (int64_t b = 0; b < z.b; b += L) {
          T turned[R * R][L][L];
          for (size_t i = 0; i < R * R; ++i) {
            for (int64_t a = 0; a < L; ++a) {
              const S* from = tap(z, static_cast<const S*>(weight), phase, i / R, i % R, block * L + a, b);
              T lane[L];
              store(lane, load(from));
              for (int64_t k = 0; k < L; ++k) turned[i][k][a] = lane[k];
            }
          }
          for (int64_t k = 0; k < L; ++k) {
            V in[R * R], out[P * P];
            for (size_t i = 0; i < R * R; ++i) in[i] = load(turned[i][k]);
            both_ways<Kernel<X>, T>(in, out);
            write_points(to, 0, block, phase * z.b + b + k, out);
          }
        }
      }
    }
  }

  static void weights_by_b(const Sizes& z, const void* weight, Range b_blocks, Blocks to) {
    for (int64_t block = b_blocks.begin; block < b_blocks.end; ++block) {
      for (int64_t phase = 0; phase < z.phases(); ++phase) {
        for (int64_t a = 0; a < z.a; ++a) {
          V in[R * R], out[P * P];
          for (size_t i = 0; i < R * R; ++i) {
            in[i] = load(tap(z, static_cast<const S*>(weight), phase, i / R, i % R, a, block * L));
          }
          both_ways<Kernel<X>, T>(in, out);
          write_points(to, phase, block, a, out);
        }
      }
    }
  }

  static void weights_back(const Sizes& z, Blocks from, Range b_blocks, void* weight) {
    for (int64_t block = b_blocks.begin; block < b_blocks.end; ++block) {
      for (int64_t phase = 0; phase < z.phases(); ++phase) {
        for (int64_t a = 0; a < z.a; ++a) {
          V in[P * P], out[R * R];
          read_points(from, phase, block, a, in);
          both_ways<Adjoint<Kernel<X>>, T>(in, out);
          for (size_t i = 0; i < R * R; ++i) {
            store(tap(z, static_cast<S*>(weight), phase, i / R, i % R, a, block * L), out[i]);
          }
        }
      }
    }
  }
};

template <class T>
struct Products {
  using V = Vector<T>;
  static constexpr int64_t L = Lanes<T>::count;
  // Rows of sums that stay in registers: with two blocks, as many as there is room for.
  static constexpr size_t ROWS = WINOGRAD_PRODUCT_ROWS, CHANNELS = WINOGRAD_OUTER_ROWS;

  template <size_t N, size_t B>
  static WINOGRAD_INLINE void product_rows(const T* left, int64_t left_block, int64_t depth, const T* right,
                                           int64_t right_block, T* out, int64_t out_block) {
    V sums[N][B]{};
    for (int64_t d = 0; d < depth; d += L, left += left_block) {
      for (int64_t k = 0; k < L; ++k, right += L) {
        V r[B];
        each<B>([&](auto b) __attribute__((always_inline)) { r[b] = load(right + b * right_block); });
        each<N>([&](auto i) __attribute__((always_inline)) {
          const T l = left[i * L + k];
          each<B>([&](auto b) __attribute__((always_inline)) { sums[i][b] += l * r[b]; });
        });
      }
    }
    each<N>([&](auto i) __attribute__((always_inline)) {
      each<B>([&](auto b) __attribute__((always_inline)) { store(out + i * L + b * out_block, sums[i][b]); });
    });
  }

  template <size_t B>
  static void product_blocks(const T* left, int64_t rows, int64_t depth, const T* right, int64_t right_rows, T* out,
                             int64_t out_rows) {
    const auto lb = rows * L, rb = right_rows * L, ob = out_rows * L;
    int64_t i = 0;
    for (; i + static_cast<int64_t>(ROWS) <= rows; i += ROWS) {
      product_rows<ROWS, B>(left + i * L, lb, depth, right, rb, out + i * L, ob);
    }
    for (; i + 4 <= rows; i += 4) product_rows<4, B>(left + i * L, lb, depth, right, rb, out + i * L, ob);
    for (; i < rows; ++i) product_rows<1, B>(left + i * L, lb, depth, right, rb, out + i * L, ob);
  }

  static void product(const void* left, int64_t rows, int64_t depth, const void* right, int64_t right_rows, void* out,
                      int64_t out_rows, int64_t blocks) {
    const auto run = blocks == 2 ? product_blocks<2> : product_blocks<1>;
    run(static_cast<const T*>(left), rows, depth, static_cast<const T*>(right), right_rows, static_cast<T*>(out),
        out_rows);
  }

  template <size_t B>
  static WINOGRAD_INLINE void outer_rows(const T* left, int64_t rows, const T* right, int64_t right_block, T* out,
                                         int64_t out_block, bool add) {
    V sums[CHANNELS][B]{};
    for (int64_t t = 0; t < rows; ++t, left += L, right += L) {
      V r[B];
      each<B>([&](auto b) __attribute__((always_inline)) { r[b] = load(right + b * right_block); });
      each<CHANNELS>([&](auto i) __attribute__((always_inline)) {
        const T l = left[i];
        each<B>([&](auto b) __attribute__((always_inline)) { sums[i][b] += l * r[b]; });
      });
    }
    each<CHANNELS>([&](auto i) __attribute__((always_inline)) {
      each<B>([&](auto b) __attribute__((always_inline)) {
        T* to = out + i * L + b * out_block;
        store(to, add ? load(to) + sums[i][b] : sums[i][b]);
      });
    });
  }

  template <size_t B>
  static void outer_blocks(const T* left, int64_t channels, int64_t rows, const T* right, T* out, bool add) {
    static_assert(L % CHANNELS == 0, "a group of channels lies in one block");
    for (int64_t c = 0; c < channels; c += CHANNELS) {
      outer_rows<B>(left + c / L * rows * L + c % L, rows, right, rows * L, out + c * L, channels * L, add);
    }
  }

  static void outer(const void* left, int64_t channels, int64_t rows, const void* right, void* out, int64_t blocks,
                    bool add) {
    const auto run = blocks == 2 ? outer_blocks<2> : outer_blocks<1>;
    run(static_cast<const T*>(left), channels, rows, static_cast<const T*>(right), static_cast<T*>(out), add);
  }
};

template <class X, class S>
const Kernels* kernels() {
  using P = Passes<X, S>;
  using G = Products<typename P::T>;
  static constexpr Kernels table{P::L,       P::P * P::P, P::M,          P::gather,       P::spread,       P::collect,
                                 P::scatter, P::weights_by_a, P::weights_by_b, P::weights_back, G::product, G::outer};
  return &table;
}

template <class S>
const Kernels* kernels(int64_t r, int64_t m) {
  if (r == 2) return m == 2 ? kernels<Transform<2, 2>, S>() : kernels<Transform<4, 2>, S>();
  return m == 2 ? kernels<Transform<2, 3>, S>() : kernels<Transform<4, 3>, S>();
}

const Kernels* kernels(Element element, int64_t r, int64_t m) {
  switch (element) {
    case Element::float32: return kernels<float>(r, m);
    case Element::float64: return kernels<double>(r, m);
    case Element::bfloat16: return kernels<Narrow>(r, m);
  }
  return nullptr;
}

}  // namespace
}  // namespace tandem::winograd
