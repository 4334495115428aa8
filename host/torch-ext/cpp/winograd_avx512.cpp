// The kernels for processors with AVX-512: vectors of 16 floats, 32 registers.
#include <type_traits>
#include <utility>

#include "winograd.h"
#include "winograd_transforms.h"

#if defined(__x86_64__)

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#define WINOGRAD_VECTOR_BYTES 64
#define WINOGRAD_PRODUCT_ROWS 12
#define WINOGRAD_OUTER_ROWS 8
#include "winograd_kernels.h"

const tandem::winograd::Kernels* tandem::winograd::avx512(Element element, int64_t r, int64_t m) {
  return kernels(element, r, m);
}

#else

const tandem::winograd::Kernels* tandem::winograd::avx512(Element, int64_t, int64_t) { return nullptr; }

#endif
