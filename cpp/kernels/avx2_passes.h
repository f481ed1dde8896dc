// Building blocks of both negacyclic transforms on doubles. Between passes the array holds signed, lazily reduced
// doubles in place of the residues; the first pass converts from integers and the last one back to canonical integers.
//
// A pass does two levels (radix 4). The tile pass does the last 3 or 4 levels of the forward transform (the first of
// the inverse) on 8 or 16 neighbours in registers. Blocks longer than kBlock are transformed depth first, so that a
// sub-transform stays in the first-level cache once it fits.
#pragma once

#include <cstring>

#include "kernels/avx2_elementwise.h"

namespace hetorch::kernels {
namespace {

// Longest block in doubles that is transformed pass by pass; 16 KiB, half of a 32 KiB first-level cache, whose other
// half the roots need. Longer blocks are split depth first.
constexpr std::size_t kBlock = 2048;
constexpr double kMaximum = kTwo52;        // largest magnitude that multiply_prepared() takes
constexpr double kTwoToMinus55 = 0x1p-55;  // bound on the error of a prepared w_over_q (multiply_prepared)
constexpr int kMaximumPasses = 16;         // size of a schedule; enough for degrees up to 2^35

inline void copy(u64* out, const u64* a, std::size_t n) {
  if (out != a) std::memcpy(out, a, n * sizeof(u64));
}

struct Root {
  Vector w;
  Vector w_over_q;
};

inline Root broadcast_root(const u64* roots, const u64* quotients, std::size_t i) {
  return {broadcast_bits(roots + i), broadcast_bits(quotients + i)};
}

// Roots i and i + 1, each in two neighbouring lanes.
inline Root pair_root(const u64* roots, const u64* quotients, std::size_t i) {
  const auto spread = [](const u64* p) {
    return _mm256_permute_pd(_mm256_broadcast_pd(reinterpret_cast<const __m128d*>(p)), 0xC);
  };
  return {spread(roots + i), spread(quotients + i)};
}

inline Root vector_root(const u64* roots, const u64* quotients, std::size_t i) {
  return {load(roots + i), load(quotients + i)};
}

struct Pair {
  Vector first;
  Vector second;
};

// Two independent products, interleaved step by step: a step has a latency of three or four cycles, which the other
// product's step fills. multiply_prepared() explains the arithmetic.
inline Pair multiply_two(const Pair& y, const Root& r0, const Root& r1, const Prime& p) {
  const Vector high0 = _mm256_mul_pd(y.first, r0.w);
  const Vector high1 = _mm256_mul_pd(y.second, r1.w);
  const Vector c0 = nearest_product(y.first, r0.w_over_q);
  const Vector c1 = nearest_product(y.second, r1.w_over_q);
  const Vector low0 = _mm256_fmsub_pd(y.first, r0.w, high0);
  const Vector low1 = _mm256_fmsub_pd(y.second, r1.w, high1);
  const Vector rest0 = _mm256_fnmadd_pd(c0, p.q, high0);
  const Vector rest1 = _mm256_fnmadd_pd(c1, p.q, high1);
  return {_mm256_add_pd(rest0, low0), _mm256_add_pd(rest1, low1)};
}

// (x, y) -> (x + y w, x - y w), twice.
inline void forward_butterflies(Vector& x0, Vector& y0, const Root& r0, Vector& x1, Vector& y1, const Root& r1,
                                const Prime& p) {
  const Pair product = multiply_two({y0, y1}, r0, r1, p);
  y0 = _mm256_sub_pd(x0, product.first);
  y1 = _mm256_sub_pd(x1, product.second);
  x0 = _mm256_add_pd(x0, product.first);
  x1 = _mm256_add_pd(x1, product.second);
}

// (x, y) -> (x + y, (x - y) w), twice.
inline void inverse_butterflies(Vector& x0, Vector& y0, const Root& r0, Vector& x1, Vector& y1, const Root& r1,
                                const Prime& p) {
  const Pair difference = {_mm256_sub_pd(x0, y0), _mm256_sub_pd(x1, y1)};
  x0 = _mm256_add_pd(x0, y0);
  x1 = _mm256_add_pd(x1, y1);
  const Pair product = multiply_two(difference, r0, r1, p);
  y0 = product.first;
  y1 = product.second;
}

// ([a0 a1 a2 a3], [b0 b1 b2 b3]) <-> ([a0 a1 b0 b1], [a2 a3 b2 b3]): its own inverse.
inline void swap_halves(Vector& x, Vector& y) {
  const Vector low = _mm256_permute2f128_pd(x, y, 0x20);
  y = _mm256_permute2f128_pd(x, y, 0x31);
  x = low;
}

// ([a0 a1 b0 b1], [a2 a3 b2 b3]) <-> ([a0 a2 b0 b2], [a1 a3 b1 b3]): its own inverse.
inline void swap_neighbours(Vector& x, Vector& y) {
  const Vector low = _mm256_unpacklo_pd(x, y);
  y = _mm256_unpackhi_pd(x, y);
  x = low;
}

// One pass of a transform: `groups` blocks of 2 * half elements.
struct Pass {
  std::size_t groups;
  std::size_t half;
  bool convert;  // forward: first pass, which reads integers; inverse: last pass, which scales by 1/n, writes integers
  int reduce;  // forward: 1 if the upper inputs are reduced first; inverse: number of outputs that are reduced, 0 to 2
};

struct Schedule {
  Pass passes[kMaximumPasses];
  int count = 0;
  int tile_levels = 0;  // levels of the tile pass between whole vectors: 1 (tiles of 8) or 2 (tiles of 16)
  int tile_reduce = 0;  // forward: 1 if the upper inputs of the tile are reduced; inverse: see tile_reduction()
};

inline int levels_of(std::size_t n) { return __builtin_ctzll(n); }
inline int tile_levels_of(std::size_t n) { return levels_of(n) % 2 == 0 ? 2 : 1; }  // leaves the passes an even number
inline std::size_t tile_size(const Schedule& s) { return std::size_t{4} << s.tile_levels; }

}  // namespace
}  // namespace hetorch::kernels
