// The inverse negacyclic transform with 52-bit multiply-add. ifma_passes.h describes its structure.
//
// A level takes x and y, below B q, to x + y, below 2 B q, and (x - y + B q) w, below 2q: a pass of three levels needs
// 8 B q <= 2^52, and of its eight outputs the first is below 8 B q, the others below 8q. The bounds for each value of
// Reduce:
//   rarely: the first output is reduced if the next pass could not start from it.
//   rarely_fewer_bytes: the same; in the three lowest levels differences are below 8q <= 2^49, so products stay below
//     2q there too.
//   every_pass: all four sums of a pass are reduced, so B = 2 and numbers stay below 16q.
//   every_level: numbers stay below 2q.
#pragma once

#include "kernels/ifma_passes.h"

namespace hetorch::kernels {
namespace {

// One inverse transform: the tables, and the factors of sums and differences in the last level.
struct Inverse {
  const NttView& table;
  Multiplier sum;
  Multiplier difference;
  u64 room() const { return (u64{1} << 52) / table.modulus.q; }
};

inline Reduce inverse_reduce(const NttView& t, u64 room) {
  if (room >= 64) return t.n >= kFewerBytes ? Reduce::rarely_fewer_bytes : Reduce::rarely;
  return room >= 16 ? Reduce::every_pass : Reduce::every_level;
}

// The state after a pass or a tile: the bound B that the next pass starts with, and whether the first output must be
// reduced for that.
struct Sums {
  u64 bound;
  bool reduce;
};

// The state after `levels` levels that started with `bound`. room: floor(2^52 / q).
inline Sums sums_after(u64 bound, int levels, u64 room) {
  const u64 sum = bound << levels;
  if (8 * sum <= room) return {sum < 8 ? 8 : sum, false};
  return {8, true};
}

// One butterfly on x and y below raise = B q.
template <Reduce kReduce, class Root>
inline void inverse_butterfly(Vec& x, Vec& y, const Root& f, Vec raise, const Prime& p) {
  if constexpr (kReduce == Reduce::every_level) {
    const Vec difference = add(subtract(x, y), p.twice);
    x = reduce_once(add(x, y), p.twice);
    y = multiply_prepared(difference, f, p);
  } else {
    const Vec difference = subtract(add(x, raise), y);
    x = add(x, y);
    y = add_product(broadcast(0), difference, f, p);
  }
}

// A butterfly of the last level: (x + y) sum and (x - y) difference, canonical.
inline void scale_butterfly(Vec& x, Vec& y, const Factor& sum, const Factor& difference, Vec raise, const Prime& p) {
  const Vec d = subtract(add(x, raise), y);
  x = reduce_once(multiply_prepared(add(x, y), sum, p), p.q);
  y = reduce_once(multiply_prepared(d, difference, p), p.q);
}

// Reduce the sums among the outputs of a pass, as far as kReduce and kReduceSum ask for it.
template <Reduce kReduce, bool kReduceSum>
inline void finish_sums(Vec* v, std::size_t count, const Prime& p) {
  if (kReduce == Reduce::every_pass) {
    for (std::size_t k = 0; k < count / 2; ++k) v[k] = add_reduction(v[k], v[k], p);
  } else if (is_rare(kReduce) && kReduceSum) {
    v[0] = add_reduction(v[0], v[0], p);
  }
}

// Three levels on the blocks [begin, end) of 8 * eighth residues; the whole array has `groups` such blocks. bound: B.
template <Reduce kReduce, bool kReduceSum, bool kLast>
void inverse_pass(u64* a, const Inverse& inverse, u64 bound, std::size_t groups, std::size_t begin, std::size_t end) {
  const NttView& t = inverse.table;
  const Prime p(t.modulus);
  const Roots roots = inverse_roots(t);
  const Factor sum = broadcast_factor(inverse.sum);
  const Factor difference = broadcast_factor(inverse.difference);
  const Vec raise[3] = {broadcast(bound * t.modulus.q), broadcast(2 * bound * t.modulus.q),
                        broadcast((kReduce == Reduce::every_level ? 2 : 4 * bound) * t.modulus.q)};
  const std::size_t eighth = t.n / groups / 8;
  for (std::size_t g = begin; g < end; ++g) {
    u64* x = a + g * 8 * eighth;
    const std::size_t block = groups + g;
    const Factor first = roots.one(block);
    const Factor second[2] = {roots.one(2 * block), roots.one(2 * block + 1)};
    const Factor third[4] = {roots.one(4 * block), roots.one(4 * block + 1), roots.one(4 * block + 2),
                             roots.one(4 * block + 3)};
    for (std::size_t j = 0; j < eighth; j += kLanes) {
      Vec v[8];
      for (std::size_t k = 0; k < 8; ++k) v[k] = load(x + k * eighth + j);
      for (std::size_t k = 0; k < 4; ++k) inverse_butterfly<kReduce>(v[2 * k], v[2 * k + 1], third[k], raise[0], p);
      for (std::size_t k = 0; k < 2; ++k) {
        inverse_butterfly<kReduce>(v[k], v[k + 2], second[0], raise[1], p);
        inverse_butterfly<kReduce>(v[k + 4], v[k + 6], second[1], raise[1], p);
      }
      for (std::size_t k = 0; k < 4; ++k) {
        if (kLast) {
          scale_butterfly(v[k], v[k + 4], sum, difference, raise[2], p);
        } else {
          inverse_butterfly<kReduce>(v[k], v[k + 4], first, raise[2], p);
        }
      }
      if (!kLast) finish_sums<kReduce, kReduceSum>(v, 8, p);
      for (std::size_t k = 0; k < 8; ++k) store(x + k * eighth + j, v[k]);
    }
  }
}

// The tile pass: the first 3 + kLevels levels, on the groups [begin, end) of kVectors vectors. Inside vectors, sums of
// up to eight canonical numbers appear: below 8q.
template <Reduce kReduce, bool kReduceSum, bool kLast, int kLevels, std::size_t kVectors>
void inverse_tiles(u64* a, const u64* from, const Inverse& inverse, std::size_t begin, std::size_t end) {
  const NttView& t = inverse.table;
  const u64 q = t.modulus.q;
  const Prime p(t.modulus);
  const Roots roots = inverse_roots(t);
  constexpr std::size_t kTile = std::size_t{1} << kLevels;
  const u64 bound = is_rare(kReduce) ? 8 : 2;
  const Vec raise2 = broadcast(2 * q);
  const Vec raise4 = broadcast(4 * q);
  const Vec raise[3] = {broadcast((kReduce == Reduce::every_level ? 2 : bound) * q), broadcast(2 * bound * q),
                        broadcast(4 * bound * q)};
  for (std::size_t i = begin; i < end; ++i) {
    const u64* source = from + i * kLanes * kVectors;
    u64* x = a + i * kLanes * kVectors;
    const std::size_t block = t.n / kLanes + i * kVectors;
    const LowRoots<kReduce> low = {roots.w, roots.quotient};
    Vec v[kVectors];
#pragma GCC unroll 16
    for (std::size_t k = 0; k < kVectors; ++k) v[k] = load(source + kLanes * k);
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kVectors; k += 2) {
      separate(v[k], v[k + 1]);
      inverse_butterfly<kReduce>(v[k], v[k + 1], low.eight(4 * (block + k)), p.q, p);
    }
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kVectors; k += 2) {
      separate(v[k], v[k + 1]);
      inverse_butterfly<kReduce>(v[k], v[k + 1], low.four(2 * (block + k)), raise2, p);
    }
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kVectors; k += 2) {
      separate(v[k], v[k + 1]);
      inverse_butterfly<kReduce>(v[k], v[k + 1], low.two(block + k), raise4, p);
      if (kReduce == Reduce::every_pass) v[k] = add_reduction(v[k], v[k], p);
      separate(v[k], v[k + 1]);
    }
#pragma GCC unroll 3
    for (int level = kLevels - 1; level >= 0; --level) {
      const std::size_t half = kTile >> (level + 1);
      const Vec up = kReduce == Reduce::every_level ? raise[0] : raise[kLevels - 1 - level];
#pragma GCC unroll 16
      for (std::size_t k = 0; k < kVectors; ++k) {
        if (k % (2 * half) >= half) continue;
        if (kLast && level == 0) {
          scale_butterfly(v[k], v[k + half], broadcast_factor(inverse.sum), broadcast_factor(inverse.difference), up,
                          p);
        } else {
          inverse_butterfly<kReduce>(v[k], v[k + half], roots.one((block + k) / (2 * half)), up, p);
        }
      }
    }
    if (!kLast) {
#pragma GCC unroll 8
      for (std::size_t k = 0; k < kVectors; k += kTile) finish_sums<kReduce, kReduceSum>(v + k, kTile, p);
    }
#pragma GCC unroll 16
    for (std::size_t k = 0; k < kVectors; ++k) store(x + kLanes * k, v[k]);
  }
}

// The bound that a pass over blocks of `size` residues starts with, and whether its first output is reduced.
template <Reduce kReduce, int kLevels>
Sums sums_of_pass(std::size_t size, u64 room) {
  if (!is_rare(kReduce)) return {2, true};
  Sums s = sums_after(8, kLevels, room);  // after the tile
  u64 bound = s.bound;
  for (std::size_t done = kLanes << kLevels; done < size; done *= 8) {
    bound = s.bound;
    s = sums_after(bound, 3, room);
  }
  return {bound, s.reduce};
}

template <Reduce kReduce, int kLevels>
void run_inverse_pass(u64* a, const Inverse& t, std::size_t groups, std::size_t begin, std::size_t end) {
  const Sums sums = sums_of_pass<kReduce, kLevels>(t.table.n / groups, t.room());
  if (groups == 1) return inverse_pass<kReduce, false, true>(a, t, sums.bound, groups, begin, end);
  if (sums.reduce) return inverse_pass<kReduce, true, false>(a, t, sums.bound, groups, begin, end);
  inverse_pass<kReduce, false, false>(a, t, sums.bound, groups, begin, end);
}

// Transform all that lies inside block g of `groups` blocks, depth first, and then the block.
template <Reduce kReduce, int kLevels>
void ascend(u64* a, const u64* from, const Inverse& t, std::size_t groups, std::size_t g) {
  constexpr std::size_t kTile = kLanes << kLevels;
  const std::size_t size = t.table.n / groups;
  if (size > kBlock) {
    for (std::size_t k = 0; k < 8; ++k) ascend<kReduce, kLevels>(a, from, t, 8 * groups, 8 * g + k);
    return run_inverse_pass<kReduce, kLevels>(a, t, groups, g, g + 1);
  }
  const std::size_t vectors = size / kLanes;
  if (!is_rare(kReduce) || sums_after(8, kLevels, t.room()).reduce) {
    inverse_tiles<kReduce, true, false, kLevels, kTileVectors>(a, from, t, g * vectors / kTileVectors,
                                                               (g + 1) * vectors / kTileVectors);
  } else {
    inverse_tiles<kReduce, false, false, kLevels, kTileVectors>(a, from, t, g * vectors / kTileVectors,
                                                                (g + 1) * vectors / kTileVectors);
  }
  for (std::size_t blocks = size / kTile / 8; blocks > 0; blocks /= 8) {
    run_inverse_pass<kReduce, kLevels>(a, t, groups * blocks, g * blocks, (g + 1) * blocks);
  }
}

template <Reduce kReduce>
void run_inverse(u64* out, const u64* a, const Inverse& t) {
  const std::size_t n = t.table.n;
  if (n == 16) return inverse_tiles<kReduce, false, true, 1, 2>(out, a, t, 0, 1);
  if (n == 32) return inverse_tiles<kReduce, false, true, 2, 4>(out, a, t, 0, 1);
  if (n == 64) return inverse_tiles<kReduce, false, true, 3, 8>(out, a, t, 0, 1);
  switch (tile_levels(n)) {
    case 1:
      return ascend<kReduce, 1>(out, a, t, 1, 0);
    case 2:
      return ascend<kReduce, 2>(out, a, t, 1, 0);
    default:
      return ascend<kReduce, 3>(out, a, t, 1, 0);
  }
}

inline void choose_inverse(u64* out, const u64* a, const Inverse& t) {
  switch (inverse_reduce(t.table, t.room())) {
    case Reduce::rarely_fewer_bytes:
      return run_inverse<Reduce::rarely_fewer_bytes>(out, a, t);
    case Reduce::rarely:
      return run_inverse<Reduce::rarely>(out, a, t);
    case Reduce::every_pass:
      return run_inverse<Reduce::every_pass>(out, a, t);
    default:
      return run_inverse<Reduce::every_level>(out, a, t);
  }
}

void ntt_inverse_from(u64* out, const u64* a, const NttView& t) {
  choose_inverse(out, a, {t, t.n_inverse, t.n_inverse_root});
}

void ntt_inverse(u64* a, const NttView& t) { ntt_inverse_from(a, a, t); }

void ntt_inverse_multiply(u64* out, const u64* a, u64 c, const NttView& t) {
  const auto times_c = [&](const Multiplier& f) {
    return prepare(static_cast<u64>(u128{f.value} * c % t.modulus.q), t.modulus);
  };
  choose_inverse(out, a, {t, times_c(t.n_inverse), times_c(t.n_inverse_root)});
}

}  // namespace
}  // namespace hetorch::kernels
