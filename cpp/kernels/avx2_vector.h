// Residues as doubles, four in a vector: exact modular arithmetic with fused multiply-add for odd q < 2^50.
//
// A product is kept as h + l, h = round(a b) and l = fma(a, b, -h), which is exact. With c an integer near a b / q,
//     a b - c q = fma(-c, q, h) + l,
// and both steps are exact as long as every value in them is an integer below 2^53: h - c q = (a b - c q) - l, where
// |l| <= ulp(h) / 2 <= 2^48 for |a b| < 2^102; each function shows |a b - c q| < 2q.
//
// Only avx2.cpp, which is compiled with -mavx2 -mfma, includes this. All is in an unnamed namespace, so that the linker
// cannot pick a function with these instructions for another file.
#pragma once

#include <immintrin.h>

#include "kernels/api.h"

namespace hetorch::kernels {
namespace {

using Vector = __m256d;
constexpr std::size_t kLanes = 4;

constexpr double kTwo52 = 4503599627370496.0;
constexpr double kMagic = 1.5 * kTwo52;  // x + kMagic is rounded to an integer for |x| <= 2^51: its ulp is 1
constexpr u64 kTwo52Bits =
    0x4330000000000000;  // bit pattern of 2^52, whose mantissa field can hold an integer below 2^52

inline Vector broadcast(double x) { return _mm256_set1_pd(x); }

struct Prime {
  explicit Prime(const ModulusConstants& m) : q(broadcast(m.q_double)), q_inverse(broadcast(m.q_inverse)) {}
  Vector q;
  Vector q_inverse;
};

inline Vector load(const u64* p) { return _mm256_loadu_pd(reinterpret_cast<const double*>(p)); }
inline void store(u64* p, Vector x) { _mm256_storeu_pd(reinterpret_cast<double*>(p), x); }
inline Vector broadcast_bits(const u64* p) { return _mm256_broadcast_sd(reinterpret_cast<const double*>(p)); }

// The integer x < 2^52 as the double x - (offset - 2^52): its bits in the mantissa of 2^52 make the double 2^52 + x.
inline Vector to_double(Vector bits, double offset = kTwo52) {
  return _mm256_sub_pd(_mm256_or_pd(bits, broadcast(kTwo52)), broadcast(offset));
}

inline Vector load_residues(const u64* p) { return to_double(load(p)); }

// x in (-q, q) -> x mod q as an integer's bits. The sign bit chooses between x and x + q (x is never -0: all callers
// form x as a sum in which one term is +0 or nonzero); 2^52 + integer has the integer in its mantissa.
inline Vector canonical_bits(Vector x, const Prime& p) {
  const Vector plain = _mm256_add_pd(x, broadcast(kTwo52));
  const Vector lifted = _mm256_add_pd(x, _mm256_add_pd(p.q, broadcast(kTwo52)));
  return _mm256_xor_pd(_mm256_blendv_pd(plain, lifted, x), broadcast(kTwo52));
}

// x in (-q, q) -> [0, q), still a double.
inline Vector make_positive(Vector x, const Prime& p) { return _mm256_blendv_pd(x, _mm256_add_pd(x, p.q), x); }

// round(x y) for |x y| <= 2^51, rounded once.
inline Vector nearest_product(Vector x, Vector y) {
  return _mm256_sub_pd(_mm256_fmadd_pd(x, y, broadcast(kMagic)), broadcast(kMagic));
}

// An integer |x| < 2^53, q >= 4 (so |x / q| < 2^51) -> x mod q with |result| <= q / 2 + 1: the relative error of
// q_inverse is at most 2^-53, so the quotient is within 1/2 + |x| / q 2^-53 of x / q.
inline Vector reduce_centred(Vector x, const Prime& p) {
  return _mm256_fnmadd_pd(nearest_product(x, p.q_inverse), p.q, x);
}

// y w mod q for a prepared w: |w| <= q / 2, w_over_q is the double nearest to w / q, so |w_over_q - w / q| <= 2^-55.
// For |y| <= 2^52: |y w_over_q| <= 2^51, and |result| <= q (1/2 + |y| 2^-55) <= 5/8 q.
inline Vector multiply_prepared(Vector y, Vector w, Vector w_over_q, const Prime& p) {
  const Vector high = _mm256_mul_pd(y, w);
  const Vector c = nearest_product(y, w_over_q);
  const Vector low = _mm256_fmsub_pd(y, w, high);
  return _mm256_add_pd(_mm256_fnmadd_pd(c, p.q, high), low);
}

// a b mod q for |a|, |b| < q. Before it is rounded, the quotient estimate h q_inverse has a relative error below 2^-52,
// and |a b / q| < 2^50, so |result| <= q (1/2 + 2^50 2^-52) = 3/4 q.
inline Vector multiply_residues(Vector a, Vector b, const Prime& p) {
  const Vector high = _mm256_mul_pd(a, b);
  const Vector c = nearest_product(high, p.q_inverse);
  const Vector low = _mm256_fmsub_pd(a, b, high);
  return _mm256_add_pd(_mm256_fnmadd_pd(c, p.q, high), low);
}

}  // namespace
}  // namespace hetorch::kernels
