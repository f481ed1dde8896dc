// The inverse negacyclic transform for primes below 2^60. wide_passes.h describes its structure.
//
// A level takes x and y to x + y and (x - y) w mod q in [0, 4q). Between passes numbers are below 4q; sums grow to 16q
// in two levels and are reduced then.
#pragma once

#include "kernels/wide_passes.h"

namespace hetorch::kernels {
namespace {

// One inverse transform: the tables, and the factors of sums and differences in the last level.
struct Inverse {
  const NttView& table;
  Multiplier sum;
  Multiplier difference;
};

// x and y below `bound` (4q or 8q) -> x + y below twice the bound, and (x - y) w below 4q.
inline void inverse_butterfly(Vec& x, Vec& y, const Factor& f, Vec bound, const Prime& p) {
  const Vec difference = subtract(add(x, bound), y);
  x = add(x, y);
  y = multiply_prepared(difference, f, p);
}

// A butterfly of the last level: (x + y) sum and (x - y) difference, canonical.
inline void inverse_last(Vec& x, Vec& y, const Factor& sum, const Factor& difference, Vec bound, const Prime& p) {
  const Vec d = subtract(add(x, bound), y);
  x = canonical4(multiply_prepared(add(x, y), sum, p), p);
  y = canonical4(multiply_prepared(d, difference, p), p);
}

// Two levels, from numbers below 4q to numbers below 4q. The first leaves v[0] and v[2] below 8q.
inline void inverse_four(Vec* v, const RootsOfFour& f, const Prime& p) {
  inverse_butterfly(v[0], v[1], f.lower, p.four, p);
  inverse_butterfly(v[2], v[3], f.upper, p.four, p);
  inverse_butterfly(v[0], v[2], f.whole, p.eight, p);
  inverse_butterfly(v[1], v[3], f.whole, p.four, p);
  v[0] = reduce_once(reduce_once(v[0], p.eight), p.four);
  v[1] = reduce_once(v[1], p.four);
}

inline void inverse_last_four(Vec* v, const RootsOfFour& f, const Factor& sum, const Factor& difference,
                              const Prime& p) {
  inverse_butterfly(v[0], v[1], f.lower, p.four, p);
  inverse_butterfly(v[2], v[3], f.upper, p.four, p);
  inverse_last(v[0], v[2], sum, difference, p.eight, p);
  inverse_last(v[1], v[3], sum, difference, p.four, p);
}

template <bool kLast>
void inverse_pass(u64* a, const Inverse& inverse, std::size_t groups, std::size_t begin, std::size_t end) {
  const NttView& t = inverse.table;
  const Prime p(t.modulus);
  const Factor sum = broadcast_factor(inverse.sum);
  const Factor difference = broadcast_factor(inverse.difference);
  const std::size_t quarter = t.n / groups / 4;
  for (std::size_t g = begin; g < end; ++g) {
    const RootsOfFour f(inverse_roots(t), groups + g);
    u64* x = a + g * 4 * quarter;
    for (std::size_t j = 0; j < quarter; j += kLanes) {
      Vec v[4];
      for (std::size_t k = 0; k < 4; ++k) v[k] = load(x + k * quarter + j);
      if (kLast) {
        inverse_last_four(v, f, sum, difference, p);
      } else {
        inverse_four(v, f, p);
      }
      for (std::size_t k = 0; k < 4; ++k) store(x + k * quarter + j, v[k]);
    }
  }
}

// The kLevels levels of a tile between whole vectors, from numbers below 4q to numbers below 4q. kOnly: the last of
// them is the last of the transform.
template <int kLevels, bool kOnly>
inline void inverse_vectors(Vec* v, const Roots& roots, std::size_t block, const Factor& sum, const Factor& difference,
                            const Prime& p) {
  constexpr std::size_t kHalf = std::size_t{1} << (kLevels - 1);
  if constexpr (kLevels == 2) {
    const RootsOfFour f(roots, block);
    return kOnly ? inverse_last_four(v, f, sum, difference, p) : inverse_four(v, f, p);
  }
  if constexpr (kLevels == 3) {
    inverse_four(v, RootsOfFour(roots, 2 * block), p);
    inverse_four(v + 4, RootsOfFour(roots, 2 * block + 1), p);
  }
  const Factor f = roots.one(block);
  for (std::size_t k = 0; k < kHalf; ++k) {
    if constexpr (kOnly) {
      inverse_last(v[k], v[k + kHalf], sum, difference, p.four, p);
    } else {
      inverse_butterfly(v[k], v[k + kHalf], f, p.four, p);
      v[k] = reduce_once(v[k], p.four);
    }
  }
}

template <int kLevels, std::size_t kVectors, bool kOnly>
void inverse_tiles(u64* out, const u64* in, const Inverse& inverse, std::size_t begin, std::size_t end) {
  constexpr std::size_t kTile = std::size_t{1} << kLevels;
  const NttView& t = inverse.table;
  const Prime p(t.modulus);
  const Roots roots = inverse_roots(t);
  const Factor sum = broadcast_factor(inverse.sum);
  const Factor difference = broadcast_factor(inverse.difference);
  for (std::size_t i = begin; i < end; i += kVectors / kTile) {
    const std::size_t at = i * kTile * kLanes;
    const std::size_t block = (t.n + at) / kLanes;
    Vec v[kVectors];
    for (std::size_t k = 0; k < kVectors; ++k) v[k] = load(in + at + kLanes * k);
    // Inputs are below q, so the sums of this level are below 2q.
    for (std::size_t k = 0; k < kVectors; k += 2) {
      separate(v[k], v[k + 1]);
      inverse_butterfly(v[k], v[k + 1], roots.eight(4 * (block + k)), p.four, p);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) {
      separate(v[k], v[k + 1]);
      inverse_butterfly(v[k], v[k + 1], roots.four(2 * (block + k)), p.four, p);
      v[k] = reduce_once(v[k], p.four);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) {
      separate(v[k], v[k + 1]);
      inverse_butterfly(v[k], v[k + 1], roots.two(block + k), p.four, p);
      v[k] = reduce_once(v[k], p.four);
      separate(v[k], v[k + 1]);
    }
    for (std::size_t k = 0; k < kVectors; k += kTile) {
      inverse_vectors<kLevels, kOnly>(v + k, roots, (t.n + at) / (kTile * kLanes) + k / kTile, sum, difference, p);
    }
    for (std::size_t k = 0; k < kVectors; ++k) store(out + at + kLanes * k, v[k]);
  }
}

inline void run_inverse_pass(u64* a, const Inverse& t, std::size_t groups, std::size_t begin, std::size_t end) {
  if (groups == 1) return inverse_pass<true>(a, t, groups, begin, end);
  inverse_pass<false>(a, t, groups, begin, end);
}

// Transform all that lies inside block g of `groups` blocks, depth first, and then the block.
template <int kLevels, std::size_t kVectors>
void ascend(u64* out, const u64* in, const Inverse& t, std::size_t groups, std::size_t g) {
  constexpr std::size_t kTile = kLanes << kLevels;
  const std::size_t size = t.table.n / groups;
  if (size > kBlock) {
    for (std::size_t k = 0; k < 4; ++k) ascend<kLevels, kVectors>(out, in, t, 4 * groups, 4 * g + k);
    return run_inverse_pass(out, t, groups, g, g + 1);
  }
  std::size_t blocks = size / kTile;
  inverse_tiles<kLevels, kVectors, false>(out, in, t, g * blocks, (g + 1) * blocks);
  for (blocks /= 4; blocks > 0; blocks /= 4) run_inverse_pass(out, t, groups * blocks, g * blocks, (g + 1) * blocks);
}

inline void run_inverse(u64* out, const u64* in, const Inverse& t) {
  if (t.table.n == 16) return inverse_tiles<1, 2, true>(out, in, t, 0, 1);
  if (t.table.n == 32) return inverse_tiles<2, 4, true>(out, in, t, 0, 1);
  if (t.table.n == 64) return inverse_tiles<3, 8, true>(out, in, t, 0, 1);
  if (levels_of(t.table.n) % 2 == 0) return ascend<3, 8>(out, in, t, 1, 0);
  ascend<2, 8>(out, in, t, 1, 0);
}

void ntt_inverse_from(u64* out, const u64* a, const NttView& t) {
  run_inverse(out, a, {t, t.n_inverse, t.n_inverse_root});
}

void ntt_inverse(u64* a, const NttView& t) { ntt_inverse_from(a, a, t); }

void ntt_inverse_multiply(u64* out, const u64* a, u64 c, const NttView& t) {
  const auto times_c = [&](const Multiplier& f) {
    return prepare(static_cast<u64>(u128{f.value} * c % t.modulus.q), t.modulus);
  };
  run_inverse(out, a, {t, times_c(t.n_inverse), times_c(t.n_inverse_root)});
}

}  // namespace
}  // namespace hetorch::kernels
