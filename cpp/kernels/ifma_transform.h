// The negacyclic transforms with 52-bit multiply-add, in unsigned residues below 2^52. A pass does two levels (radix
// 4); the tile pass does the four or five levels inside 16 or 32 neighbours in registers. Blocks above kBlock are
// handled depth first, so that a sub-transform stays in the first-level cache once it fits.
#pragma once

#include <cstring>

#include "kernels/ifma_elementwise.h"

namespace hetorch::kernels {
namespace {

constexpr std::size_t kBlock = 2048;  // residues: 16 KiB, half of a 32 KiB cache; the roots need the rest

inline int levels_of(std::size_t n) { return __builtin_ctzll(n); }

// Levels of the tile on whole vectors: 1 or 2, so that an even number is left for the radix-4 passes.
inline int tile_levels(std::size_t n) { return levels_of(n) % 2 == 0 ? 1 : 2; }

struct Roots {
  const u64* w;
  const u64* quotient;
  Factor one(std::size_t i) const { return {broadcast(w[i]), broadcast(quotient[i])}; }
  Factor two(std::size_t i) const { return {spread2(w + i), spread2(quotient + i)}; }
  Factor four(std::size_t i) const { return {spread4(w + i), spread4(quotient + i)}; }
  Factor eight(std::size_t i) const { return {load(w + i), load(quotient + i)}; }
};

inline Roots forward_roots(const NttView& t) { return {t.roots, t.root_quotients}; }
inline Roots inverse_roots(const NttView& t) { return {t.inverse_roots, t.inverse_root_quotients}; }

// --- forward ---------------------------------------------------------------------------------------------------------

// kLazy: x and y below b give x + y w and x - y w + 2q below b + 2q, and nothing is reduced before the end.
// Otherwise x and y are below 4q < 2^52, x is reduced to [0, 2q), and the results are below 4q again.
template <bool kLazy>
inline void forward_butterfly(Vec& x, Vec& y, const Factor& f, const Prime& p) {
  const Vec u = kLazy ? x : reduce_once(x, p.twice);
  const Vec v = multiply_prepared(y, f, p);
  x = add(u, v);
  y = add(subtract(u, v), p.twice);
}

template <bool kLazy>
inline Vec forward_result(Vec x, const Prime& p) {
  return kLazy ? canonical(x, p) : reduce_once(reduce_once(x, p.twice), p.q);
}

// All levels without a reduction: [0, q) grows to (1 + 2 levels) q, which must be below 2^52.
inline bool forward_is_lazy(const NttView& t) {
  return t.modulus.q <= kMask52 / (1 + 2 * static_cast<u64>(levels_of(t.n)));
}

// Two levels on the blocks [begin, end) of 4 quarter residues; `groups` is how many such blocks the whole array has.
template <bool kLazy>
void forward_pass(u64* a, const NttView& t, std::size_t groups, std::size_t begin, std::size_t end) {
  const Prime p(t.modulus);
  const Roots roots = forward_roots(t);
  const std::size_t quarter = t.n / groups / 4;
  for (std::size_t g = begin; g < end; ++g) {
    u64* x = a + g * 4 * quarter;
    const Factor first = roots.one(groups + g);
    const Factor second = roots.one(2 * (groups + g));
    const Factor third = roots.one(2 * (groups + g) + 1);
    for (std::size_t j = 0; j < quarter; j += kLanes) {
      Vec v[4];
      for (std::size_t k = 0; k < 4; ++k) v[k] = load(x + k * quarter + j);
      forward_butterfly<kLazy>(v[0], v[2], first, p);
      forward_butterfly<kLazy>(v[1], v[3], first, p);
      forward_butterfly<kLazy>(v[0], v[1], second, p);
      forward_butterfly<kLazy>(v[2], v[3], third, p);
      for (std::size_t k = 0; k < 4; ++k) store(x + k * quarter + j, v[k]);
    }
  }
}

template <int kLevels, bool kLazy>
void forward_tiles(u64* a, const NttView& t, std::size_t begin, std::size_t end) {
  constexpr std::size_t kVectors = std::size_t{1} << kLevels;
  const Prime p(t.modulus);
  const Roots roots = forward_roots(t);
  const std::size_t tiles = t.n / (kLanes * kVectors);
  for (std::size_t i = begin; i < end; ++i) {
    u64* x = a + i * kLanes * kVectors;
    Vec v[kVectors];
    for (std::size_t k = 0; k < kVectors; ++k) v[k] = load(x + kLanes * k);
    for (int level = 0; level < kLevels; ++level) {
      const std::size_t half = kVectors >> (level + 1);
      for (std::size_t g = 0; g < (std::size_t{1} << level); ++g) {
        const Factor f = roots.one(((tiles + i) << level) + g);
        for (std::size_t k = 0; k < half; ++k) {
          forward_butterfly<kLazy>(v[2 * half * g + k], v[2 * half * g + half + k], f, p);
        }
      }
    }
    for (std::size_t k = 0; k < kVectors; k += 2) {
      const std::size_t block = t.n / kLanes + i * kVectors + k;
      swap4(v[k], v[k + 1]);
      forward_butterfly<kLazy>(v[k], v[k + 1], roots.two(block), p);
      swap2(v[k], v[k + 1]);
      forward_butterfly<kLazy>(v[k], v[k + 1], roots.four(2 * block), p);
      swap1(v[k], v[k + 1]);
      forward_butterfly<kLazy>(v[k], v[k + 1], roots.eight(4 * block), p);
      v[k] = forward_result<kLazy>(v[k], p);
      v[k + 1] = forward_result<kLazy>(v[k + 1], p);
      swap1(v[k], v[k + 1]);
      swap2(v[k], v[k + 1]);
      swap4(v[k], v[k + 1]);
      store(x + kLanes * k, v[k]);
      store(x + kLanes * (k + 1), v[k + 1]);
    }
  }
}

template <int kLevels, bool kLazy>
void descend(u64* a, const NttView& t, std::size_t groups, std::size_t g) {
  constexpr std::size_t kTile = kLanes << kLevels;
  const std::size_t size = t.n / groups;
  if (size > kBlock) {
    forward_pass<kLazy>(a, t, groups, g, g + 1);
    for (std::size_t k = 0; k < 4; ++k) descend<kLevels, kLazy>(a, t, 4 * groups, 4 * g + k);
    return;
  }
  std::size_t blocks = 1;
  for (; size / blocks > kTile; blocks *= 4) {
    forward_pass<kLazy>(a, t, groups * blocks, g * blocks, (g + 1) * blocks);
  }
  forward_tiles<kLevels, kLazy>(a, t, g * blocks, (g + 1) * blocks);
}

void ntt_forward(u64* a, const NttView& t) {
  const bool lazy = forward_is_lazy(t);
  if (tile_levels(t.n) == 1) {
    return lazy ? descend<1, true>(a, t, 1, 0) : descend<1, false>(a, t, 1, 0);
  }
  return lazy ? descend<2, true>(a, t, 1, 0) : descend<2, false>(a, t, 1, 0);
}

// --- inverse ---------------------------------------------------------------------------------------------------------

// x, y in [0, 2q) -> x + y and (x - y) w, both in [0, 2q).
inline void inverse_butterfly(Vec& x, Vec& y, const Factor& f, const Prime& p) {
  const Vec difference = add(subtract(x, y), p.twice);
  x = reduce_once(add(x, y), p.twice);
  y = multiply_prepared(difference, f, p);
}

// The last level: (x + y) / n and (x - y) psi^-bitrev(1) / n in [0, q).
inline void scale_butterfly(Vec& x, Vec& y, const Factor& sum, const Factor& difference, const Prime& p) {
  const Vec d = add(subtract(x, y), p.twice);
  x = reduce_once(multiply_prepared(add(x, y), sum, p), p.q);
  y = reduce_once(multiply_prepared(d, difference, p), p.q);
}

// One inverse transform: the tables, and the factors of sums and differences in the last level.
struct Inverse {
  const NttView& table;
  Multiplier sum;
  Multiplier difference;
};

template <bool kLast>
void inverse_pass(u64* a, const Inverse& inverse, std::size_t groups, std::size_t begin, std::size_t end) {
  const NttView& t = inverse.table;
  const Prime p(t.modulus);
  const Roots roots = inverse_roots(t);
  const Factor scale = broadcast_factor(inverse.sum);
  const Factor scale_root = broadcast_factor(inverse.difference);
  const std::size_t quarter = t.n / groups / 4;
  for (std::size_t g = begin; g < end; ++g) {
    u64* x = a + g * 4 * quarter;
    const Factor first = roots.one(groups + g);
    const Factor second = roots.one(2 * (groups + g));
    const Factor third = roots.one(2 * (groups + g) + 1);
    for (std::size_t j = 0; j < quarter; j += kLanes) {
      Vec v[4];
      for (std::size_t k = 0; k < 4; ++k) v[k] = load(x + k * quarter + j);
      inverse_butterfly(v[0], v[1], second, p);
      inverse_butterfly(v[2], v[3], third, p);
      if (kLast) {
        scale_butterfly(v[0], v[2], scale, scale_root, p);
        scale_butterfly(v[1], v[3], scale, scale_root, p);
      } else {
        inverse_butterfly(v[0], v[2], first, p);
        inverse_butterfly(v[1], v[3], first, p);
      }
      for (std::size_t k = 0; k < 4; ++k) store(x + k * quarter + j, v[k]);
    }
  }
}

template <int kLevels, bool kOnly>
void inverse_tiles(u64* a, const Inverse& inverse, std::size_t begin, std::size_t end) {
  constexpr std::size_t kVectors = std::size_t{1} << kLevels;
  const NttView& t = inverse.table;
  const Prime p(t.modulus);
  const Roots roots = inverse_roots(t);
  const std::size_t tiles = t.n / (kLanes * kVectors);
  for (std::size_t i = begin; i < end; ++i) {
    u64* x = a + i * kLanes * kVectors;
    Vec v[kVectors];
    for (std::size_t k = 0; k < kVectors; k += 2) {
      const std::size_t block = t.n / kLanes + i * kVectors + k;
      v[k] = load(x + kLanes * k);
      v[k + 1] = load(x + kLanes * (k + 1));
      swap4(v[k], v[k + 1]);
      swap2(v[k], v[k + 1]);
      swap1(v[k], v[k + 1]);
      inverse_butterfly(v[k], v[k + 1], roots.eight(4 * block), p);
      swap1(v[k], v[k + 1]);
      inverse_butterfly(v[k], v[k + 1], roots.four(2 * block), p);
      swap2(v[k], v[k + 1]);
      inverse_butterfly(v[k], v[k + 1], roots.two(block), p);
      swap4(v[k], v[k + 1]);
    }
    for (int level = kLevels - 1; level >= 0; --level) {
      const std::size_t half = kVectors >> (level + 1);
      for (std::size_t g = 0; g < (std::size_t{1} << level); ++g) {
        const Factor f = roots.one(((tiles + i) << level) + g);
        for (std::size_t k = 0; k < half; ++k) {
          Vec& upper = v[2 * half * g + k];
          Vec& lower = v[2 * half * g + half + k];
          if (kOnly && level == 0) {
            scale_butterfly(upper, lower, broadcast_factor(inverse.sum), broadcast_factor(inverse.difference), p);
          } else {
            inverse_butterfly(upper, lower, f, p);
          }
        }
      }
    }
    for (std::size_t k = 0; k < kVectors; ++k) store(x + kLanes * k, v[k]);
  }
}

inline void run_inverse_pass(u64* a, const Inverse& t, std::size_t groups, std::size_t begin, std::size_t end) {
  if (groups == 1) return inverse_pass<true>(a, t, groups, begin, end);
  inverse_pass<false>(a, t, groups, begin, end);
}

template <int kLevels>
void ascend(u64* a, const Inverse& t, std::size_t groups, std::size_t g) {
  constexpr std::size_t kTile = kLanes << kLevels;
  const std::size_t size = t.table.n / groups;
  if (size > kBlock) {
    for (std::size_t k = 0; k < 4; ++k) ascend<kLevels>(a, t, 4 * groups, 4 * g + k);
    return run_inverse_pass(a, t, groups, g, g + 1);
  }
  std::size_t blocks = size / kTile;
  if (t.table.n == kTile) {
    inverse_tiles<kLevels, true>(a, t, 0, 1);
  } else {
    inverse_tiles<kLevels, false>(a, t, g * blocks, (g + 1) * blocks);
  }
  for (blocks /= 4; blocks > 0; blocks /= 4) run_inverse_pass(a, t, groups * blocks, g * blocks, (g + 1) * blocks);
}

inline void run_inverse(u64* a, const Inverse& t) {
  if (tile_levels(t.table.n) == 1) return ascend<1>(a, t, 1, 0);
  ascend<2>(a, t, 1, 0);
}

inline void copy(u64* out, const u64* a, std::size_t n) {
  if (out != a) std::memcpy(out, a, n * sizeof(u64));
}

void ntt_inverse(u64* a, const NttView& t) { run_inverse(a, {t, t.n_inverse, t.n_inverse_root}); }

void ntt_inverse_from(u64* out, const u64* a, const NttView& t) {
  copy(out, a, t.n);
  ntt_inverse(out, t);
}

void ntt_inverse_multiply(u64* out, const u64* a, u64 c, const NttView& t) {
  const auto times_c = [&](const Multiplier& f) {
    return prepare(static_cast<u64>(u128{f.value} * c % t.modulus.q), t.modulus);
  };
  copy(out, a, t.n);
  run_inverse(out, {t, times_c(t.n_inverse), times_c(t.n_inverse_root)});
}

void ntt_forward_from(u64* out, const u64* a, const NttView& t) {
  copy(out, a, t.n);
  ntt_forward(out, t);
}

void ntt_forward_subtract_multiply(u64* out, const u64* a, const u64* minuend, u64 c, const NttView& t) {
  ntt_forward_from(out, a, t);
  subtract_multiply_scalar(out, minuend, out, c, t.n, t.modulus);
}

}  // namespace
}  // namespace hetorch::kernels
