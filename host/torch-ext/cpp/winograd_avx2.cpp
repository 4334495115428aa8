// The kernels for processors with AVX2: vectors of 8 floats, 16 registers.
#include <type_traits>
#include <utility>

#include "winograd.h"
#include "winograd_transforms.h"

#if defined(__x86_64__)

#pragma GCC target("avx2,fma")
#define WINOGRAD_VECTOR_BYTES 32
#define WINOGRAD_PRODUCT_ROWS 6
#define WINOGRAD_OUTER_ROWS 4
#include "winograd_kernels.h"

const tandem::winograd::Kernels* tandem::winograd::avx2(Element element, int64_t r, int64_t m) {
  return kernels(element, r, m);
}

#else

const tandem::winograd::Kernels* tandem::winograd::avx2(Element, int64_t, int64_t) { return nullptr; }

#endif
