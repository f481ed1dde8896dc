// Eight 64-bit lanes in AVX-512 registers: the few operations that the IFMA kernels are written with. vec512_emulated.h
// has the same functions in plain loops.
#pragma once

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
// GCC bug 105593: before 13, _mm512_undefined_epi32 inside the intrinsics themselves sets this warning off.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "kernels/api.h"

namespace hetorch::kernels {
namespace {

using Vec = __m512i;
using Real = __m512d;
constexpr std::size_t kLanes = 8;

inline Vec load(const u64* p) { return _mm512_loadu_si512(p); }
inline void store(u64* p, Vec x) { _mm512_storeu_si512(p, x); }
inline Vec broadcast(u64 x) { return _mm512_set1_epi64(static_cast<long long>(x)); }

inline Vec add(Vec a, Vec b) { return _mm512_add_epi64(a, b); }
inline Vec subtract(Vec a, Vec b) { return _mm512_sub_epi64(a, b); }
inline Vec minimum(Vec a, Vec b) { return _mm512_min_epu64(a, b); }  // unsigned
inline Vec bit_and(Vec a, Vec b) { return _mm512_and_si512(a, b); }
inline Vec shift_right_52(Vec a) { return _mm512_srli_epi64(a, 52); }

// sum + the low (high) 52 bits of the product of the low 52 bits of a and b
inline Vec multiply_low(Vec sum, Vec a, Vec b) { return _mm512_madd52lo_epu64(sum, a, b); }
inline Vec multiply_high(Vec sum, Vec a, Vec b) { return _mm512_madd52hi_epu64(sum, a, b); }

// [p0 p0 p0 p0 p1 p1 p1 p1]
inline Vec spread2(const u64* p) {
  const __m512i pair = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1), pair);
}

// [p0 p0 p1 p1 p2 p2 p3 p3]
inline Vec spread4(const u64* p) {
  const __m512i four = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), four);
}

// Exchange the upper half of each group of 2k lanes of x with the lower half of the same group of y, k = 4, 2, 1. Each
// is its own inverse.
inline void swap4(Vec& x, Vec& y) {
  const Vec low = _mm512_shuffle_i64x2(x, y, 0x44);
  y = _mm512_shuffle_i64x2(x, y, 0xEE);
  x = low;
}

inline void swap2(Vec& x, Vec& y) {
  const Vec low = _mm512_permutex2var_epi64(x, _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), y);
  y = _mm512_permutex2var_epi64(x, _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15), y);
  x = low;
}

inline void swap1(Vec& x, Vec& y) {
  const Vec low = _mm512_unpacklo_epi64(x, y);
  y = _mm512_unpackhi_epi64(x, y);
  x = low;
}

// [block[index[0] % 8] ... block[index[7] % 8]]
inline Vec permute_block(const u64* block, const std::uint32_t* index) {
  const __m512i lanes = _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)));
  return _mm512_permutexvar_epi64(lanes, load(block));
}

inline Real broadcast_real(double x) { return _mm512_set1_pd(x); }
inline Real to_real(Vec a) { return _mm512_cvtepu64_pd(a); }
inline Real add(Real a, Real b) { return _mm512_add_pd(a, b); }
inline Real multiply(Real a, Real b) { return _mm512_mul_pd(a, b); }
inline Vec floor_to_integer(Real a) {
  return _mm512_cvttpd_epu64(_mm512_roundscale_pd(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
}

}  // namespace
}  // namespace hetorch::kernels
