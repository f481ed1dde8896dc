// The forward negacyclic transform on doubles.
#pragma once

#include "kernels/avx2_passes.h"

namespace hetorch::kernels {
namespace {

// The bound after one level: from x and y bounded by b to x +- y w, bounded by b + q (1/2 + b 2^-55).
inline double forward_growth(double b, double q) { return b + q * (0.5 + b * kTwoToMinus55) + 1; }

// Return whether the upper inputs of `levels` levels that start at bound b must be reduced first, and update b to the
// bound after them. The multiplication reduces lower inputs anyway. All inputs and outputs must stay below kMaximum.
inline bool forward_bound(double& b, int levels, double q) {
  double plain = b;
  for (int i = 0; i < levels; ++i) plain = forward_growth(plain, q);
  if (plain <= kMaximum) {
    b = plain;
    return false;
  }
  double reduced = 0.5 * q + 1 + q * (0.5 + b * kTwoToMinus55) + 1;
  for (int i = 1; i < levels; ++i) reduced = forward_growth(reduced, q);
  b = reduced;
  return true;
}

inline Schedule forward_schedule(const NttView& t) {
  Schedule s;
  s.tile_levels = tile_levels_of(t.n);
  double bound = t.modulus.q_double;
  std::size_t groups = 1;
  std::size_t half = t.n / 2;
  for (; 2 * half > tile_size(s); groups *= 4, half /= 4) {
    const bool convert = groups == 1;
    const bool reduce = forward_bound(bound, 2, t.modulus.q_double);
    s.passes[s.count++] = {groups, half, convert, reduce ? 1 : 0};
  }
  s.tile_reduce = forward_bound(bound, s.tile_levels + 2, t.modulus.q_double) ? 1 : 0;
  return s;
}

template <bool kConvert, bool kReduce>
void forward_pass(u64* a, const NttView& t, const Pass& pass, std::size_t begin, std::size_t end) {
  const Prime p(t.modulus);
  const std::size_t quarter = pass.half / 2;
  for (std::size_t g = begin; g < end; ++g) {
    u64* x = a + g * 2 * pass.half;
    const Root first = broadcast_root(t.roots, t.root_quotients, pass.groups + g);
    const Root second = broadcast_root(t.roots, t.root_quotients, 2 * (pass.groups + g));
    const Root third = broadcast_root(t.roots, t.root_quotients, 2 * (pass.groups + g) + 1);
    for (std::size_t j = 0; j < quarter; j += kLanes) {
      Vector v[4];
      for (std::size_t k = 0; k < 4; ++k) {
        const u64* source = x + k * quarter + j;
        v[k] = kConvert ? load_residues(source) : load(source);
      }
      if (kReduce) {
        v[0] = reduce_centred(v[0], p);
        v[1] = reduce_centred(v[1], p);
      }
      forward_butterflies(v[0], v[2], first, v[1], v[3], first, p);
      forward_butterflies(v[0], v[1], second, v[2], v[3], third, p);
      for (std::size_t k = 0; k < 4; ++k) store(x + k * quarter + j, v[k]);
    }
  }
}

// The tile pass on the blocks [begin, end) of 16 residues: one tile of 16 (kLevels = 2) or two tiles of 8 (kLevels = 1)
// at a time.
template <int kLevels, bool kConvert, bool kReduce>
void forward_tiles(u64* a, const NttView& t, std::size_t begin, std::size_t end) {
  const Prime p(t.modulus);
  const u64* w = t.roots;
  const u64* c = t.root_quotients;
  for (std::size_t i = begin; i < end; ++i) {
    u64* x = a + 16 * i;
    Vector v[4];
    for (std::size_t k = 0; k < 4; ++k) v[k] = kConvert ? load_residues(x + kLanes * k) : load(x + kLanes * k);
    if (kReduce) {
      v[0] = reduce_centred(v[0], p);
      v[3 - kLevels] = reduce_centred(v[3 - kLevels], p);
    }
    if (kLevels == 2) {
      const Root first = broadcast_root(w, c, t.n / 16 + i);
      forward_butterflies(v[0], v[2], first, v[1], v[3], first, p);
    }
    const std::size_t tile = t.n / 8 + 2 * i;
    forward_butterflies(v[0], v[1], broadcast_root(w, c, tile), v[2], v[3], broadcast_root(w, c, tile + 1), p);
    swap_halves(v[0], v[1]);
    swap_halves(v[2], v[3]);
    forward_butterflies(v[0], v[1], pair_root(w, c, 2 * tile), v[2], v[3], pair_root(w, c, 2 * tile + 2), p);
    swap_neighbours(v[0], v[1]);
    swap_neighbours(v[2], v[3]);
    forward_butterflies(v[0], v[1], vector_root(w, c, 4 * tile), v[2], v[3], vector_root(w, c, 4 * tile + 4), p);
    for (std::size_t k = 0; k < 4; ++k) v[k] = canonical_bits(reduce_centred(v[k], p), p);
    swap_neighbours(v[0], v[1]);
    swap_neighbours(v[2], v[3]);
    swap_halves(v[0], v[1]);
    swap_halves(v[2], v[3]);
    for (std::size_t k = 0; k < 4; ++k) store(x + kLanes * k, v[k]);
  }
}

inline void run_forward_pass(u64* a, const NttView& t, const Pass& pass, std::size_t begin, std::size_t end) {
  if (pass.convert) return forward_pass<true, false>(a, t, pass, begin, end);  // inputs in [0, q) need no reduction
  if (pass.reduce) return forward_pass<false, true>(a, t, pass, begin, end);
  forward_pass<false, false>(a, t, pass, begin, end);
}

inline void run_forward_tiles(u64* a, const NttView& t, const Schedule& s, std::size_t begin, std::size_t end) {
  if (s.count == 0) return forward_tiles<2, true, true>(a, t, begin, end);
  if (s.tile_levels == 1) {
    if (s.tile_reduce != 0) return forward_tiles<1, false, true>(a, t, begin, end);
    return forward_tiles<1, false, false>(a, t, begin, end);
  }
  if (s.tile_reduce != 0) return forward_tiles<2, false, true>(a, t, begin, end);
  forward_tiles<2, false, false>(a, t, begin, end);
}

// Run group g of pass `first`, and after it the parts of all later passes that lie inside this group.
inline void descend(u64* a, const NttView& t, const Schedule& s, int first, std::size_t g) {
  const std::size_t size = first < s.count ? 2 * s.passes[first].half : tile_size(s);
  if (size > kBlock) {
    run_forward_pass(a, t, s.passes[first], g, g + 1);
    for (std::size_t k = 0; k < 4; ++k) descend(a, t, s, first + 1, 4 * g + k);
    return;
  }
  for (int i = first; i < s.count; ++i) {
    const std::size_t begin = g * (s.passes[i].groups / s.passes[first].groups);
    const std::size_t end = (g + 1) * (s.passes[i].groups / s.passes[first].groups);
    run_forward_pass(a, t, s.passes[i], begin, end);
  }
  const std::size_t blocks = size / 16;
  run_forward_tiles(a, t, s, g * blocks, (g + 1) * blocks);
}

void ntt_forward(u64* a, const NttView& t) { descend(a, t, forward_schedule(t), 0, 0); }

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
