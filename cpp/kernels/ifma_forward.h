// The forward negacyclic transform with 52-bit multiply-add. ifma_passes.h describes its structure.
//
// A level takes x and y to x + t and x - t with t = y w mod q in [0, 2q), more exactly in [0, q + y q / 2^52). So a
// level moves a number by at most 2q, whatever y is. The bounds for each value of Reduce:
//   rarely: numbers stay below 2^51, so a level moves them by at most 3/2 q. The first x are raised by that for each
//     level to come, so that nothing becomes negative; the subtraction of ntt_forward_subtract_multiply needs one q
//     more.
//   rarely_fewer_bytes: the same, but t is below 3q in the three lowest levels.
//   every_pass: x is reduced to [0, 2q) and raised by 6q before the three levels of a pass; numbers stay below 14q.
//   every_level: x and y are in [0, 4q), and x is reduced to [0, 2q).
#pragma once

#include "kernels/ifma_passes.h"

namespace hetorch::kernels {
namespace {

// The largest amount by which all levels together can move a number, in multiples of q.
constexpr u64 forward_travel(Reduce reduce, int levels) {
  const u64 count = static_cast<u64>(levels);
  return reduce == Reduce::rarely_fewer_bytes ? (3 * (count - 3) + 1) / 2 + 9 : (3 * count + 1) / 2;
}

// The amount by which start() raises x, in multiples of q.
template <Reduce kReduce>
constexpr u64 forward_raise(int levels) {
  return kReduce == Reduce::every_pass ? 6 : forward_travel(kReduce, levels);
}

// An upper bound of all numbers after the last level, in multiples of q.
template <Reduce kReduce>
constexpr u64 forward_bound(int levels) {
  if (kReduce == Reduce::every_level) return 2;
  return kReduce == Reduce::every_pass ? 14 : 1 + 2 * forward_travel(kReduce, levels);
}

inline Reduce forward_reduce(const NttView& t) {
  const u64 room = (u64{1} << 52) / t.modulus.q;
  const int levels = levels_of(t.n);
  if (t.n >= kFewerBytes && room / 2 > forward_bound<Reduce::rarely_fewer_bytes>(levels)) {
    return Reduce::rarely_fewer_bytes;
  }
  if (room / 2 > forward_bound<Reduce::rarely>(levels)) return Reduce::rarely;
  return room >= 15 ? Reduce::every_pass : Reduce::every_level;
}

// Bring x to the range that a pass starts with. kFirst: first pass of the transform, where x is canonical.
template <Reduce kReduce, bool kFirst>
inline Vec start(Vec x, Vec raise, const Prime& p) {
  if (kReduce == Reduce::every_level || (is_rare(kReduce) && !kFirst)) return x;
  const Vec raised = add(x, raise);
  return kFirst ? raised : add_reduction(raised, x, p);
}

template <Reduce kReduce, class Root>
inline void forward_butterfly(Vec& x, Vec& y, const Root& f, const Prime& p) {
  if constexpr (kReduce == Reduce::every_level) {
    const Vec u = reduce_once(x, p.twice);
    const Vec v = multiply_prepared(y, f, p);
    x = add(u, v);
    y = add(subtract(u, v), p.twice);
  } else {
    const Vec twice = add(x, x);
    x = add_product(x, y, f, p);
    y = subtract(twice, x);
  }
}

// The end of the last pass: make a number canonical and store it.
template <Reduce kReduce>
struct Store {
  Store(u64* to, const NttView& t) : out(to), p(t.modulus) {}
  void operator()(std::size_t j, Vec x) const {
    if (is_rare(kReduce)) x = canonical_half(x, p);
    if (kReduce == Reduce::every_pass) x = canonical(x, p);
    if (kReduce == Reduce::every_level) x = reduce_once(reduce_once(x, p.twice), p.q);
    store(out + j, x);
  }
  u64* out;
  Prime p;
};

// The end of the last pass of ntt_forward_subtract_multiply: store (minuend - x) c mod q.
template <Reduce kReduce>
struct SubtractMultiplyStore {
  SubtractMultiplyStore(u64* to, const u64* from, u64 c, const NttView& t)
      : out(to),
        minuend(from),
        p(t.modulus),
        factor(broadcast_factor(prepare(c, t.modulus))),
        raise(broadcast(forward_bound<kReduce>(levels_of(t.n)) * t.modulus.q)) {}
  void operator()(std::size_t j, Vec x) const {
    if (kReduce == Reduce::every_level) x = reduce_once(x, p.twice);
    const Vec difference = subtract(add(load(minuend + j), raise), x);
    store(out + j, reduce_once(multiply_prepared(difference, factor, p), p.q));
  }
  u64* out;
  const u64* minuend;
  Prime p;
  Factor factor;
  Vec raise;
};

// Three levels on the blocks [begin, end) of 8 * eighth residues; the whole array has `groups` such blocks.
template <Reduce kReduce, bool kFirst>
void forward_pass(u64* a, const u64* from, const NttView& t, std::size_t groups, std::size_t begin, std::size_t end) {
  const Prime p(t.modulus);
  const Vec raise = broadcast(forward_raise<kReduce>(levels_of(t.n)) * t.modulus.q);
  const Roots roots = forward_roots(t);
  const std::size_t eighth = t.n / groups / 8;
  for (std::size_t g = begin; g < end; ++g) {
    const u64* source = from + g * 8 * eighth;
    u64* x = a + g * 8 * eighth;
    const std::size_t block = groups + g;
    const Factor first = roots.one(block);
    const Factor second[2] = {roots.one(2 * block), roots.one(2 * block + 1)};
    const Factor third[4] = {roots.one(4 * block), roots.one(4 * block + 1), roots.one(4 * block + 2),
                             roots.one(4 * block + 3)};
    for (std::size_t j = 0; j < eighth; j += kLanes) {
      Vec v[8];
      for (std::size_t k = 0; k < 8; ++k) v[k] = load(source + k * eighth + j);
      for (std::size_t k = 0; k < 4; ++k) v[k] = start<kReduce, kFirst>(v[k], raise, p);
      for (std::size_t k = 0; k < 4; ++k) forward_butterfly<kReduce>(v[k], v[k + 4], first, p);
      for (std::size_t k = 0; k < 2; ++k) {
        forward_butterfly<kReduce>(v[k], v[k + 2], second[0], p);
        forward_butterfly<kReduce>(v[k + 4], v[k + 6], second[1], p);
      }
      for (std::size_t k = 0; k < 4; ++k) forward_butterfly<kReduce>(v[2 * k], v[2 * k + 1], third[k], p);
      for (std::size_t k = 0; k < 8; ++k) store(x + k * eighth + j, v[k]);
    }
  }
}

// The tile pass: the last kLevels + 3 levels, on the groups [begin, end) of kVectors vectors.
template <Reduce kReduce, bool kFirst, int kLevels, std::size_t kVectors, class Finish>
void forward_tiles(const u64* from, const NttView& t, const Finish& last, std::size_t begin, std::size_t end) {
  const Finish finish = last;  // a copy whose address nobody has, so that its constants stay in registers across stores
  const Prime p(t.modulus);
  const Vec raise = broadcast(forward_raise<kReduce>(levels_of(t.n)) * t.modulus.q);
  const Roots roots = forward_roots(t);
  constexpr std::size_t kTile = std::size_t{1} << kLevels;
  for (std::size_t i = begin; i < end; ++i) {
    const u64* x = from + i * kLanes * kVectors;
    Vec v[kVectors];
#pragma GCC unroll 16
    for (std::size_t k = 0; k < kVectors; ++k) v[k] = load(x + kLanes * k);
#pragma GCC unroll 16
    for (std::size_t k = 0; k < kVectors; ++k) {
      if (k % kTile < kTile / 2) v[k] = start<kReduce, kFirst>(v[k], raise, p);
    }
#pragma GCC unroll 3
    for (int level = 0; level < kLevels; ++level) {
      const std::size_t half = kTile >> (level + 1);
      const std::size_t block = (t.n / kLanes + i * kVectors) / (2 * half);
#pragma GCC unroll 16
      for (std::size_t k = 0; k < kVectors; ++k) {
        if (k % (2 * half) < half) {
          forward_butterfly<kReduce>(v[k], v[k + half], roots.one(block + k / (2 * half)), p);
        }
      }
    }
    const LowRoots<kReduce> low = {roots.w, roots.quotient};
    const std::size_t block = t.n / kLanes + i * kVectors;
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kVectors; k += 2) {
      interleave(v[k], v[k + 1]);
      v[k] = start<kReduce, false>(v[k], raise, p);
      forward_butterfly<kReduce>(v[k], v[k + 1], low.two(block + k), p);
    }
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kVectors; k += 2) {
      interleave(v[k], v[k + 1]);
      forward_butterfly<kReduce>(v[k], v[k + 1], low.four(2 * (block + k)), p);
    }
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kVectors; k += 2) {
      interleave(v[k], v[k + 1]);
      forward_butterfly<kReduce>(v[k], v[k + 1], low.eight(4 * (block + k)), p);
      interleave(v[k], v[k + 1]);
    }
#pragma GCC unroll 16
    for (std::size_t k = 0; k < kVectors; ++k) finish(kLanes * (i * kVectors + k), v[k]);
  }
}

// Transform block g of `groups` blocks and all that lies inside it, depth first.
template <Reduce kReduce, int kLevels, class Finish>
void descend(u64* a, const u64* from, const NttView& t, const Finish& finish, std::size_t groups, std::size_t g) {
  constexpr std::size_t kTile = kLanes << kLevels;
  const std::size_t size = t.n / groups;
  std::size_t blocks = 1;
  if (groups == 1) {
    forward_pass<kReduce, true>(a, from, t, 1, 0, 1);
    blocks = 8;
  }
  if (size > kBlock) {
    if (groups != 1) forward_pass<kReduce, false>(a, a, t, groups, g, g + 1);
    for (std::size_t k = 0; k < 8; ++k) descend<kReduce, kLevels>(a, a, t, finish, 8 * groups, 8 * g + k);
    return;
  }
  for (; size / blocks > kTile; blocks *= 8) {
    forward_pass<kReduce, false>(a, a, t, groups * blocks, g * blocks, (g + 1) * blocks);
  }
  const std::size_t vectors = size / kLanes;
  forward_tiles<kReduce, false, kLevels, kTileVectors>(a, t, finish, g * vectors / kTileVectors,
                                                       (g + 1) * vectors / kTileVectors);
}

template <Reduce kReduce, class Finish>
void run_forward(u64* out, const u64* a, const NttView& t, const Finish& finish) {
  if (t.n == 16) return forward_tiles<kReduce, true, 1, 2>(a, t, finish, 0, 1);
  if (t.n == 32) return forward_tiles<kReduce, true, 2, 4>(a, t, finish, 0, 1);
  if (t.n == 64) return forward_tiles<kReduce, true, 3, 8>(a, t, finish, 0, 1);
  switch (tile_levels(t.n)) {
    case 1:
      return descend<kReduce, 1>(out, a, t, finish, 1, 0);
    case 2:
      return descend<kReduce, 2>(out, a, t, finish, 1, 0);
    default:
      return descend<kReduce, 3>(out, a, t, finish, 1, 0);
  }
}

template <Reduce kReduce>
void forward_store(u64* out, const u64* a, const NttView& t) {
  run_forward<kReduce>(out, a, t, Store<kReduce>(out, t));
}

void ntt_forward_from(u64* out, const u64* a, const NttView& t) {
  switch (forward_reduce(t)) {
    case Reduce::rarely_fewer_bytes:
      return forward_store<Reduce::rarely_fewer_bytes>(out, a, t);
    case Reduce::rarely:
      return forward_store<Reduce::rarely>(out, a, t);
    case Reduce::every_pass:
      return forward_store<Reduce::every_pass>(out, a, t);
    default:
      return forward_store<Reduce::every_level>(out, a, t);
  }
}

void ntt_forward(u64* a, const NttView& t) { ntt_forward_from(a, a, t); }

template <Reduce kReduce>
void forward_subtract_multiply(u64* out, const u64* a, const u64* minuend, u64 c, const NttView& t) {
  run_forward<kReduce>(out, a, t, SubtractMultiplyStore<kReduce>(out, minuend, c, t));
}

void ntt_forward_subtract_multiply(u64* out, const u64* a, const u64* minuend, u64 c, const NttView& t) {
  switch (forward_reduce(t)) {
    case Reduce::rarely_fewer_bytes:
      return forward_subtract_multiply<Reduce::rarely_fewer_bytes>(out, a, minuend, c, t);
    case Reduce::rarely:
      return forward_subtract_multiply<Reduce::rarely>(out, a, minuend, c, t);
    case Reduce::every_pass:
      return forward_subtract_multiply<Reduce::every_pass>(out, a, minuend, c, t);
    default:
      return forward_subtract_multiply<Reduce::every_level>(out, a, minuend, c, t);
  }
}

}  // namespace
}  // namespace hetorch::kernels
