// The negacyclic transforms on doubles. Between passes the array holds signed, lazily reduced doubles in place of the
// residues; the first pass converts from integers and the last one back to canonical integers.
//
// A pass does two levels (radix 4); the tile pass does the last 3 or 4 levels of the forward transform (the first of
// the inverse) on 8 or 16 neighbours in registers. Blocks above kBlock are handled depth first, so that a sub-transform
// stays in the first-level cache once it fits.
#pragma once

#include <cstring>

#include "kernels/avx2_elementwise.h"

namespace hetorch::kernels {
namespace {

constexpr std::size_t kBlock = 2048;  // doubles: 16 KiB, half of a 32 KiB cache; the roots need the rest
constexpr double kMaximum = kTwo52;   // inputs of multiply_prepared
constexpr double kTwoToMinus55 = 0x1p-55;
constexpr int kMaximumPasses = 16;  // degrees up to 2^35

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

// Two blocks of four: the root of each, twice.
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

// Two products step by step: each step takes three or four cycles, and a processor fills them better when the steps of
// independent products are next to each other. See multiply_prepared for the arithmetic.
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

// (A, B) = ([a0 a1 a2 a3], [b0 b1 b2 b3]) <-> ([a0 a1 b0 b1], [a2 a3 b2 b3]): its own inverse.
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

// One pass of a transform: `groups` blocks of 2 half elements.
struct Pass {
  std::size_t groups;
  std::size_t half;
  bool convert;  // forward: the first pass, reads integers; inverse: the last pass, scales by 1/n and writes integers
  int reduce;    // forward: 1 reduces the upper inputs first; inverse: how many of the four outputs are reduced
};

struct Schedule {
  Pass passes[kMaximumPasses];
  int count = 0;
  int tile_levels = 0;  // levels of the tile pass on whole vectors: 1 (tiles of 8) or 2 (tiles of 16)
  int tile_reduce = 0;  // forward: 1 reduces the upper inputs of the tile; inverse: see inverse_tiles
};

inline int levels_of(std::size_t n) { return __builtin_ctzll(n); }
inline int tile_levels_of(std::size_t n) { return levels_of(n) % 2 == 0 ? 2 : 1; }  // an even number is left
inline std::size_t tile_size(const Schedule& s) { return std::size_t{4} << s.tile_levels; }

}  // namespace
}  // namespace hetorch::kernels
