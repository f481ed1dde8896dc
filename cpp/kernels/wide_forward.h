// The forward negacyclic transform for primes below 2^60. wide_passes.h describes its structure.
//
// A level takes x and y to x + t and x - t with t = y w mod q in [-2q, 2q). As 16q < 2^64, x is reduced before every
// other level: to [0, 8q), raised by 4q; the first level leaves [2q, 14q), the second [0, 16q).
#pragma once

#include "kernels/wide_passes.h"

namespace hetorch::kernels {
namespace {

// Bring x to the range at the start of two levels.
inline Vec start(Vec x, const Prime& p) { return add(reduce_once(x, p.eight), p.four); }

// Bring x to [2q, 6q), the range at the start of a last single level, which leaves [0, 8q).
inline Vec start_last(Vec x, const Prime& p) { return add(reduce_once(reduce_once(x, p.eight), p.four), p.twice); }

inline void forward_butterfly(Vec& x, Vec& y, const Factor& f, const Prime& p) {
  const Vec t = multiply_centred(y, f, p);
  y = subtract(x, t);
  x = add(x, t);
}

// Two levels on kColumns columns of four vectors each.
template <std::size_t kColumns>
inline void forward_fours(Vec* v, const RootsOfFour& f, const Prime& p) {
  for (std::size_t k = 0; k < 4 * kColumns; k += 4) {
    for (std::size_t i = k; i < k + 2; ++i) {
      v[i] = start(v[i], p);
      forward_butterfly(v[i], v[i + 2], f.whole, p);
    }
  }
  for (std::size_t k = 0; k < 4 * kColumns; k += 4) {
    forward_butterfly(v[k], v[k + 1], f.lower, p);
    forward_butterfly(v[k + 2], v[k + 3], f.upper, p);
  }
}

// Two levels on the blocks [begin, end) of 4 * quarter residues; the whole array has `groups` such blocks. A quarter is
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

// The kLevels levels of a tile between whole vectors.
template <int kLevels>
inline void forward_vectors(Vec* v, const Roots& roots, std::size_t block, const Prime& p) {
  if constexpr (kLevels == 1) {
    v[0] = start(v[0], p);
    forward_butterfly(v[0], v[1], roots.one(block), p);
  } else if constexpr (kLevels == 2) {
    forward_fours<1>(v, RootsOfFour(roots, block), p);
  } else {
    const RootsOfFour f(roots, block);
    for (std::size_t k = 0; k < 4; ++k) {
      v[k] = start(v[k], p);
      forward_butterfly(v[k], v[k + 4], f.whole, p);
    }
    for (std::size_t k = 0; k < 2; ++k) forward_butterfly(v[k], v[k + 2], f.lower, p);
    for (std::size_t k = 4; k < 6; ++k) forward_butterfly(v[k], v[k + 2], f.upper, p);
    for (std::size_t k = 0; k < 8; k += 2) {
      v[k] = start(v[k], p);
      forward_butterfly(v[k], v[k + 1], roots.one(4 * block + k / 2), p);
    }
  }
}

// The tile pass on the tiles [begin, end) of 8 * 2^kLevels residues, as many at once as kVectors vectors hold. `finish`
// takes a vector of results below 8q, its position and the prime, and returns the vector to store.
template <int kLevels, std::size_t kVectors, class Finish>
void forward_tiles(u64* out, const u64* in, const NttView& t, std::size_t begin, std::size_t end,
                   const Finish& finish) {
  constexpr std::size_t kTile = std::size_t{1} << kLevels;  // in vectors
  constexpr bool kEven = kLevels % 2 == 0;                  // a pair of levels begins with the first inside vectors
  const Prime p(t.modulus);
  const Roots roots = forward_roots(t);
  for (std::size_t i = begin; i < end; i += kVectors / kTile) {
    const std::size_t at = i * kTile * kLanes;
    const std::size_t block = (t.n + at) / kLanes;
    Vec v[kVectors];
    for (std::size_t k = 0; k < kVectors; ++k) v[k] = load(in + at + kLanes * k);
    for (std::size_t k = 0; k < kVectors; k += kTile) {
      forward_vectors<kLevels>(v + k, roots, (block + k) / kTile, p);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) {
      interleave(v[k], v[k + 1]);
      if (kEven) v[k] = start(v[k], p);
      forward_butterfly(v[k], v[k + 1], roots.two(block + k), p);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) {
      interleave(v[k], v[k + 1]);
      if (!kEven) v[k] = start(v[k], p);
      forward_butterfly(v[k], v[k + 1], roots.four(2 * (block + k)), p);
    }
    for (std::size_t k = 0; k < kVectors; k += 2) {
      interleave(v[k], v[k + 1]);
      if (kEven) v[k] = start_last(v[k], p);
      forward_butterfly(v[k], v[k + 1], roots.eight(4 * (block + k)), p);
      interleave(v[k], v[k + 1]);
    }
    for (std::size_t k = 0; k < kVectors; ++k) {
      const Vec x = kEven ? v[k] : reduce_once(v[k], p.eight);
      store(out + at + kLanes * k, finish(x, at + kLanes * k, p));
    }
  }
}

// Transform block g of `groups` blocks and all that lies inside it, depth first.
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

// The tile pass takes five or six levels, so that an even number is left for the passes.
template <class Finish>
inline void forward(u64* out, const u64* in, const NttView& t, const Finish& finish) {
  if (t.n == 16) return forward_tiles<1, 2>(out, in, t, 0, 1, finish);
  if (t.n == 32) return forward_tiles<2, 4>(out, in, t, 0, 1, finish);
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

}  // namespace
}  // namespace hetorch::kernels
