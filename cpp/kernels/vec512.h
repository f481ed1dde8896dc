// Operations on AVX-512 registers of eight 64-bit numbers (lanes), which the IFMA and wide kernels use.
// vec512_emulated.h has the same functions in plain loops.
#pragma once

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
// GCC bug 105593: before version 13, the intrinsics themselves set these warnings off.
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
inline Vec add_where_above(Vec sum, Vec a, Vec bound, Vec term) {  // sum + term where a > bound, unsigned
  return _mm512_mask_add_epi64(sum, _mm512_cmpgt_epu64_mask(a, bound), sum, term);
}
inline Vec shift_right(Vec a, Vec count) { return _mm512_srlv_epi64(a, count); }  // counts below 64
inline Vec shift_left(Vec a, Vec count) { return _mm512_sllv_epi64(a, count); }
inline Vec shift_right_52(Vec a) { return _mm512_srli_epi64(a, 52); }

// sum + the low (high) 52 bits of the 104-bit product of the low 52 bits of a and b.
inline Vec multiply_low(Vec sum, Vec a, Vec b) { return _mm512_madd52lo_epu64(sum, a, b); }
inline Vec multiply_high(Vec sum, Vec a, Vec b) { return _mm512_madd52hi_epu64(sum, a, b); }

// The low 64 bits of the product of a and b.
inline Vec multiply_word(Vec a, Vec b) { return _mm512_mullo_epi64(a, b); }

template <int kBits>
inline Vec shift_left(Vec a) {
  return _mm512_slli_epi64(a, kBits);
}
template <int kBits>
inline Vec shift_right(Vec a) {
  return _mm512_srli_epi64(a, kBits);
}
// Shift all lanes by the same 0 to 63 bits.
inline Vec shift_left(Vec a, int bits) { return _mm512_sll_epi64(a, _mm_cvtsi32_si128(bits)); }
inline Vec shift_right(Vec a, int bits) { return _mm512_srl_epi64(a, _mm_cvtsi32_si128(bits)); }

// [p0 p1 p0 p1 p0 p1 p0 p1] and [p0 p1 p2 p3 p0 p1 p2 p3].
inline Vec repeat2(const u64* p) {
  return _mm512_broadcast_i64x2(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline Vec repeat4(const u64* p) {
  return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

// [x0 y0 x1 y1 x2 y2 x3 y3] and [x4 y4 x5 y5 x6 y6 x7 y7]
inline Vec interleave_low(Vec x, Vec y) {
  return _mm512_permutex2var_epi64(x, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), y);
}
inline Vec interleave_high(Vec x, Vec y) {
  return _mm512_permutex2var_epi64(x, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), y);
}

// [x0 x2 x4 x6 y0 y2 y4 y6] and [x1 x3 x5 x7 y1 y3 y5 y7]
inline Vec even_lanes(Vec x, Vec y) {
  return _mm512_permutex2var_epi64(x, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), y);
}
inline Vec odd_lanes(Vec x, Vec y) {
  return _mm512_permutex2var_epi64(x, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), y);
}

// [x[index[0] % 8] ... x[index[7] % 8]]
inline Vec permute_lanes(Vec x, const std::uint32_t* index) {
  const __m512i lanes = _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)));
  return _mm512_permutexvar_epi64(lanes, x);
}

inline Vec load_bytes(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
// [x[index[0]] ... x[index[63]]], with x and index taken as 64 bytes; indices are below 64.
inline Vec permute_bytes(Vec x, Vec index) { return _mm512_permutexvar_epi8(index, x); }

inline Real load_reals(const double* p) { return _mm512_loadu_pd(p); }
inline Vec to_signed_integer(Real a) { return _mm512_cvttpd_epi64(a); }
inline Vec bits_of_reals(Real a) { return _mm512_castpd_si512(a); }
inline Real broadcast_real(double x) { return _mm512_set1_pd(x); }
inline Real to_real(Vec a) { return _mm512_cvtepu64_pd(a); }
inline Real add(Real a, Real b) { return _mm512_add_pd(a, b); }
inline Real multiply(Real a, Real b) { return _mm512_mul_pd(a, b); }
inline Vec floor_to_integer(Real a) {
  return _mm512_cvttpd_epu64(_mm512_roundscale_pd(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
}

}  // namespace
}  // namespace hetorch::kernels
