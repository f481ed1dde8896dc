// The negacyclic transforms for primes below 2^60. A pass does two levels (radix 4); the tile pass does the five or six
// levels inside 32 or 64 neighbours in registers. Blocks above kBlock are handled depth first, so that a sub-transform
// stays in the first-level cache once it fits. A butterfly has a latency of some twenty cycles and a throughput of
// four, so the tile pass goes through a level of eight vectors, four butterflies that do not wait for each other,
// before it begins the next.
//
// 2^64 > 16q leaves four bits to be lazy with. Forward: residues are below 16q between passes. Inverse: below 4q.
#pragma once

#include "kernels/wide_elementwise.h"

namespace hetorch::kernels {
namespace {

constexpr std::size_t kBlock = 2048;  // residues: 16 KiB, half of a 32 KiB cache; the roots need the rest

inline int levels_of(std::size_t n) { return __builtin_ctzll(n); }

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

// Two levels on kColumns times four vectors: below 16q -> 12q -> 16q.
template <std::size_t kColumns>
inline void forward_fours(Vec* v, const RootsOfFour& f, const Prime& p) {
  for (std::size_t k = 0; k < 4 * kColumns; k += 4) {
    forward_butterfly<1>(v[k], v[k + 2], f.whole, p);
    forward_butterfly<1>(v[k + 1], v[k + 3], f.whole, p);
  }
  for (std::size_t k = 0; k < 4 * kColumns; k += 4) {
    forward_butterfly<0>(v[k], v[k + 1], f.lower, p);
    forward_butterfly<0>(v[k + 2], v[k + 3], f.upper, p);
  }
}

// On the blocks [begin, end) of 4 quarter residues; `groups` is how many such blocks the whole array has. A quarter is
// at least a tile of 32.
void forward_pass(u64* out, const u64* in, const NttView& t, std::size_t groups, std::size_t begin, std::size_t end) {
  const Prime p(t.modulus);
  const std::size_t quarter = t.n / groups / 4;
  for (std::size_t g = begin; g < end; ++g) {
    const RootsOfFour f(forward_roots(t), groups + g);
    const u64* from = in + g * 4 * quarter;
    u64* to = out + g * 4 * quarter;
    for (std::size_t j = 0; j < quarter; j += 2 * kLanes) {
      Vec v[8];
      for (std::size_t k = 0; k < 8; ++k) v[k] = load(from + k % 4 * quarter + j + k / 4 * kLanes);
      forward_fours<2>(v, f, p);
      for (std::size_t k = 0; k < 8; ++k) store(to + k % 4 * quarter + j + k / 4 * kLanes, v[k]);
    }
  }
}

// The levels of a tile between whole vectors, kLevels of them: below 16q -> 12q (odd kLevels) or 16q.
template <int kLevels>
inline void forward_vectors(Vec* v, const Roots& roots, std::size_t block, const Prime& p) {
  if constexpr (kLevels == 1) {
    forward_butterfly<1>(v[0], v[1], roots.one(block), p);
  } else if constexpr (kLevels == 2) {
    forward_fours<1>(v, RootsOfFour(roots, block), p);
  } else {
    const RootsOfFour f(roots, block);
    for (std::size_t k = 0; k < 4; ++k) forward_butterfly<1>(v[k], v[k + 4], f.whole, p);
    for (std::size_t k = 0; k < 2; ++k) forward_butterfly<0>(v[k], v[k + 2], f.lower, p);
    for (std::size_t k = 4; k < 6; ++k) forward_butterfly<0>(v[k], v[k + 2], f.upper, p);
    for (std::size_t k = 0; k < 4; ++k) forward_butterfly<1>(v[2 * k], v[2 * k + 1], roots.one(4 * block + k), p);
  }
}

// Tiles of 8 * 2^kLevels residues, as many at once as kVectors vectors hold. `finish` turns a vector of results below
// 8q, and its place, into what is stored there.
template <int kLevels, std::size_t kVectors, class Finish>
void forward_tiles(u64* out, const u64* in, const NttView& t, std::size_t begin, std::size_t end,
                   const Finish& finish) {
  constexpr std::size_t kTile = std::size_t{1} << kLevels;  // in vectors
  constexpr int kFirst = kLevels % 2 == 0;                  // the levels between vectors left less than 12q otherwise
  const Prime p(t.modulus);
  const Roots roots = forward_roots(t);
  for (std::size_t i = begin; i < end; i += kVectors / kTile) {
    const std::size_t at = i * kTile * kLanes;
    Vec v[kVectors];
    for (std::size_t k = 0; k < kVectors; ++k) v[k] = load(in + at + kLanes * k);
    for (std::size_t k = 0; k < kVectors; k += kTile) {
      forward_vectors<kLevels>(v + k, roots, (t.n + at) / (kTile * kLanes) + k / kTile, p);
    }
    const std::size_t block = (t.n + at) / kLanes;
    for (std::size_t k = 0; k < kVectors; k += 2) swap4(v[k], v[k + 1]);
    for (std::size_t k = 0; k < kVectors; k += 2) {
      forward_butterfly<kFirst>(v[k], v[k + 1], roots.two(block + k), p);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) swap2(v[k], v[k + 1]);
    for (std::size_t k = 0; k < kVectors; k += 2) {
      forward_butterfly<1 - kFirst>(v[k], v[k + 1], roots.four(2 * (block + k)), p);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) swap1(v[k], v[k + 1]);
    for (std::size_t k = 0; k < kVectors; k += 2) {
      forward_butterfly<2>(v[k], v[k + 1], roots.eight(4 * (block + k)), p);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) join(v[k], v[k + 1]);
    for (std::size_t k = 0; k < kVectors; ++k) store(out + at + kLanes * k, finish(v[k], at + kLanes * k, p));
  }
}

template <int kLevels, std::size_t kVectors, class Finish>
void descend(u64* out, const u64* in, const NttView& t, std::size_t groups, std::size_t g, const Finish& finish) {
  constexpr std::size_t kTile = kLanes << kLevels;
  const std::size_t size = t.n / groups;
  if (size > kBlock) {
    forward_pass(out, in, t, groups, g, g + 1);
    for (std::size_t k = 0; k < 4; ++k) descend<kLevels, kVectors>(out, out, t, 4 * groups, 4 * g + k, finish);
    return;
  }
  std::size_t blocks = 1;
  for (; size / blocks > kTile; blocks *= 4) {
    forward_pass(out, in, t, groups * blocks, g * blocks, (g + 1) * blocks);
    in = out;
  }
  forward_tiles<kLevels, kVectors>(out, in, t, g * blocks, (g + 1) * blocks, finish);
}

// An even number of levels is left for the radix-4 passes.
template <class Finish>
inline void forward(u64* out, const u64* in, const NttView& t, const Finish& finish) {
  if (t.n == 16) return descend<1, 2>(out, in, t, 1, 0, finish);
  if (t.n == 32) return descend<2, 4>(out, in, t, 1, 0, finish);
  if (levels_of(t.n) % 2 == 0) return descend<3, 8>(out, in, t, 1, 0, finish);
  descend<2, 8>(out, in, t, 1, 0, finish);
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

// The levels of a tile between whole vectors, below 4q -> 4q; with kOnly the last of the transform.
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
    // Below q: the sums of this level are below 2q.
    for (std::size_t k = 0; k < kVectors; k += 2) {
      separate(v[k], v[k + 1]);
      inverse_butterfly(v[k], v[k + 1], roots.eight(4 * (block + k)), p.four, p);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) {
      swap1(v[k], v[k + 1]);
      inverse_butterfly(v[k], v[k + 1], roots.four(2 * (block + k)), p.four, p);
      v[k] = reduce_once(v[k], p.four);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) {
      swap2(v[k], v[k + 1]);
      inverse_butterfly(v[k], v[k + 1], roots.two(block + k), p.four, p);
      v[k] = reduce_once(v[k], p.four);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) swap4(v[k], v[k + 1]);
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
