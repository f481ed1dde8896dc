// The negacyclic transforms for primes below 2^60. A pass does two levels (radix 4); the tile pass does the four or five
// levels inside 16 or 32 neighbours in registers. Blocks above kBlock are handled depth first, so that a sub-transform
// stays in the first-level cache once it fits.
//
// 2^64 > 16q leaves four bits to be lazy with. Forward: residues are below 16q between passes. Inverse: below 4q.
#pragma once

#include "kernels/wide_elementwise.h"

namespace hetorch::kernels {
namespace {

constexpr std::size_t kBlock = 2048;  // residues: 16 KiB, half of a 32 KiB cache; the roots need the rest

inline int levels_of(std::size_t n) { return __builtin_ctzll(n); }

// Levels of the tile on whole vectors: 1 or 2, so that an even number is left for the radix-4 passes.
inline int tile_levels(std::size_t n) { return levels_of(n) % 2 == 0 ? 1 : 2; }

struct Roots {
  const u64* w;
  const u64* quotient;
  Factor one(std::size_t i) const { return factor(broadcast(w[i]), broadcast(quotient[i])); }
  Factor two(std::size_t i) const { return factor(spread2(w + i), spread2(quotient + i)); }
  Factor four(std::size_t i) const { return factor(spread4(w + i), spread4(quotient + i)); }
  Factor eight(std::size_t i) const { return factor(load(w + i), load(quotient + i)); }
};

inline Roots forward_roots(const NttView& t) { return {t.roots, t.root_quotients}; }
inline Roots inverse_roots(const NttView& t) { return {t.inverse_roots, t.inverse_root_quotients}; }

// The roots of two levels on one block of 4 quarters.
struct RootsOfFour {
  RootsOfFour(const Roots& roots, std::size_t block)
      : whole(roots.one(block)), lower(roots.one(2 * block)), upper(roots.one(2 * block + 1)) {}
  Factor whole;
  Factor lower;
  Factor upper;
};

// --- forward ---------------------------------------------------------------------------------------------------------

// x and any y give x + y w and x - y w + 4q, both below the bound of x plus 4q, after x has been reduced: not at all
// (kSteps 0), from 16q to 8q (1) or on to 4q (2).
template <int kSteps>
inline void forward_butterfly(Vec& x, Vec& y, const Factor& f, const Prime& p) {
  if (kSteps >= 1) x = reduce_once(x, p.eight);
  if (kSteps >= 2) x = reduce_once(x, p.four);
  const Vec v = multiply_prepared(y, f, p);
  y = subtract(add(x, p.four), v);
  x = add(x, v);
}

// Two levels: below 16q -> 12q -> 16q.
inline void forward_four(Vec* v, const RootsOfFour& f, const Prime& p) {
  forward_butterfly<1>(v[0], v[2], f.whole, p);
  forward_butterfly<1>(v[1], v[3], f.whole, p);
  forward_butterfly<0>(v[0], v[1], f.lower, p);
  forward_butterfly<0>(v[2], v[3], f.upper, p);
}

// On the blocks [begin, end) of 4 quarter residues; `groups` is how many such blocks the whole array has.
void forward_pass(u64* out, const u64* in, const NttView& t, std::size_t groups, std::size_t begin, std::size_t end) {
  const Prime p(t.modulus);
  const std::size_t quarter = t.n / groups / 4;
  for (std::size_t g = begin; g < end; ++g) {
    const RootsOfFour f(forward_roots(t), groups + g);
    const u64* from = in + g * 4 * quarter;
    u64* to = out + g * 4 * quarter;
    for (std::size_t j = 0; j < quarter; j += kLanes) {
      Vec v[4];
      for (std::size_t k = 0; k < 4; ++k) v[k] = load(from + k * quarter + j);
      forward_four(v, f, p);
      for (std::size_t k = 0; k < 4; ++k) store(to + k * quarter + j, v[k]);
    }
  }
}

// The levels inside 16 neighbours, whose roots are those of the blocks `block` and `block` + 1 of 8: below 16q, reduced
// before this to 12q when kSteps is 0, -> 8q.
template <int kSteps>
inline void forward_sixteen(Vec& x, Vec& y, const Roots& roots, std::size_t block, const Prime& p) {
  swap4(x, y);
  forward_butterfly<kSteps>(x, y, roots.two(block), p);
  swap2(x, y);
  forward_butterfly<1 - kSteps>(x, y, roots.four(2 * block), p);
  swap1(x, y);
  forward_butterfly<2>(x, y, roots.eight(4 * block), p);
  join(x, y);
}

// `finish` turns a vector of results below 8q, and its place, into what is stored there.
template <int kLevels, class Finish>
void forward_tiles(u64* out, const u64* in, const NttView& t, std::size_t begin, std::size_t end,
                   const Finish& finish) {
  constexpr std::size_t kVectors = std::size_t{1} << kLevels;
  const Prime p(t.modulus);
  const Roots roots = forward_roots(t);
  const std::size_t tiles = t.n / (kLanes * kVectors);
  for (std::size_t i = begin; i < end; ++i) {
    const std::size_t at = i * kLanes * kVectors;
    Vec v[kVectors];
    for (std::size_t k = 0; k < kVectors; ++k) v[k] = load(in + at + kLanes * k);
    if constexpr (kLevels == 1) {
      forward_butterfly<1>(v[0], v[1], roots.one(tiles + i), p);
    } else {
      forward_four(v, RootsOfFour(roots, tiles + i), p);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) {
      forward_sixteen<kLevels - 1>(v[k], v[k + 1], roots, t.n / kLanes + i * kVectors + k, p);
    }
    for (std::size_t k = 0; k < kVectors; ++k) store(out + at + kLanes * k, finish(v[k], at + kLanes * k, p));
  }
}

template <int kLevels, class Finish>
void descend(u64* out, const u64* in, const NttView& t, std::size_t groups, std::size_t g, const Finish& finish) {
  constexpr std::size_t kTile = kLanes << kLevels;
  const std::size_t size = t.n / groups;
  if (size > kBlock) {
    forward_pass(out, in, t, groups, g, g + 1);
    for (std::size_t k = 0; k < 4; ++k) descend<kLevels>(out, out, t, 4 * groups, 4 * g + k, finish);
    return;
  }
  std::size_t blocks = 1;
  for (; size / blocks > kTile; blocks *= 4) {
    forward_pass(out, in, t, groups * blocks, g * blocks, (g + 1) * blocks);
    in = out;
  }
  forward_tiles<kLevels>(out, in, t, g * blocks, (g + 1) * blocks, finish);
}

template <class Finish>
inline void forward(u64* out, const u64* in, const NttView& t, const Finish& finish) {
  if (tile_levels(t.n) == 1) return descend<1>(out, in, t, 1, 0, finish);
  descend<2>(out, in, t, 1, 0, finish);
}

void ntt_forward_from(u64* out, const u64* a, const NttView& t) {
  forward(out, a, t, [](Vec x, std::size_t, const Prime& p) { return canonical8(x, p); });
}

void ntt_forward(u64* a, const NttView& t) { ntt_forward_from(a, a, t); }

void ntt_forward_subtract_multiply(u64* out, const u64* a, const u64* minuend, u64 c, const NttView& t) {
  const Factor f = broadcast_factor(prepare(c, t.modulus));
  forward(out, a, t, [&](Vec x, std::size_t at, const Prime& p) {
    const Vec difference = subtract(add(load(minuend + at), p.eight), x);
    return canonical4(multiply_prepared(difference, f, p), p);
  });
}

// --- inverse ---------------------------------------------------------------------------------------------------------

// One inverse transform: the tables, and the factors of sums and differences in the last level.
struct Inverse {
  const NttView& table;
  Multiplier sum;
  Multiplier difference;
};

// x and y below the bound of both, `bound` (4q or 8q) -> x + y below twice the bound, and (x - y) w below 4q.
inline void inverse_butterfly(Vec& x, Vec& y, const Factor& f, Vec bound, const Prime& p) {
  const Vec difference = subtract(add(x, bound), y);
  x = add(x, y);
  y = multiply_prepared(difference, f, p);
}

// The last level, with its factors, to [0, q).
inline void inverse_last(Vec& x, Vec& y, const Factor& sum, const Factor& difference, Vec bound, const Prime& p) {
  const Vec d = subtract(add(x, bound), y);
  x = canonical4(multiply_prepared(add(x, y), sum, p), p);
  y = canonical4(multiply_prepared(d, difference, p), p);
}

// Two levels, below 4q -> 4q. The first leaves v[0] and v[2] below 8q.
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

// The levels inside 16 neighbours, below q -> 4q. The sums of the first are below 2q.
inline void inverse_sixteen(Vec& x, Vec& y, const Roots& roots, std::size_t block, const Prime& p) {
  separate(x, y);
  inverse_butterfly(x, y, roots.eight(4 * block), p.four, p);
  swap1(x, y);
  inverse_butterfly(x, y, roots.four(2 * block), p.four, p);
  x = reduce_once(x, p.four);
  swap2(x, y);
  inverse_butterfly(x, y, roots.two(block), p.four, p);
  x = reduce_once(x, p.four);
  swap4(x, y);
}

template <int kLevels, bool kOnly>
void inverse_tiles(u64* out, const u64* in, const Inverse& inverse, std::size_t begin, std::size_t end) {
  constexpr std::size_t kVectors = std::size_t{1} << kLevels;
  const NttView& t = inverse.table;
  const Prime p(t.modulus);
  const Roots roots = inverse_roots(t);
  const Factor sum = broadcast_factor(inverse.sum);
  const Factor difference = broadcast_factor(inverse.difference);
  const std::size_t tiles = t.n / (kLanes * kVectors);
  for (std::size_t i = begin; i < end; ++i) {
    const std::size_t at = i * kLanes * kVectors;
    Vec v[kVectors];
    for (std::size_t k = 0; k < kVectors; ++k) v[k] = load(in + at + kLanes * k);
    for (std::size_t k = 0; k < kVectors; k += 2) {
      inverse_sixteen(v[k], v[k + 1], roots, t.n / kLanes + i * kVectors + k, p);
    }
    if constexpr (kLevels == 1 && kOnly) {
      inverse_last(v[0], v[1], sum, difference, p.four, p);
    } else if constexpr (kLevels == 1) {
      inverse_butterfly(v[0], v[1], roots.one(tiles + i), p.four, p);
      v[0] = reduce_once(v[0], p.four);
    } else if constexpr (kOnly) {
      inverse_last_four(v, RootsOfFour(roots, tiles + i), sum, difference, p);
    } else {
      inverse_four(v, RootsOfFour(roots, tiles + i), p);
    }
    for (std::size_t k = 0; k < kVectors; ++k) store(out + at + kLanes * k, v[k]);
  }
}

inline void run_inverse_pass(u64* a, const Inverse& t, std::size_t groups, std::size_t begin, std::size_t end) {
  if (groups == 1) return inverse_pass<true>(a, t, groups, begin, end);
  inverse_pass<false>(a, t, groups, begin, end);
}

template <int kLevels>
void ascend(u64* out, const u64* in, const Inverse& t, std::size_t groups, std::size_t g) {
  constexpr std::size_t kTile = kLanes << kLevels;
  const std::size_t size = t.table.n / groups;
  if (size > kBlock) {
    for (std::size_t k = 0; k < 4; ++k) ascend<kLevels>(out, in, t, 4 * groups, 4 * g + k);
    return run_inverse_pass(out, t, groups, g, g + 1);
  }
  std::size_t blocks = size / kTile;
  if (t.table.n == kTile) {
    inverse_tiles<kLevels, true>(out, in, t, 0, 1);
  } else {
    inverse_tiles<kLevels, false>(out, in, t, g * blocks, (g + 1) * blocks);
  }
  for (blocks /= 4; blocks > 0; blocks /= 4) run_inverse_pass(out, t, groups * blocks, g * blocks, (g + 1) * blocks);
}

inline void run_inverse(u64* out, const u64* in, const Inverse& t) {
  if (tile_levels(t.table.n) == 1) return ascend<1>(out, in, t, 1, 0);
  ascend<2>(out, in, t, 1, 0);
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
