// The inverse negacyclic transform on doubles.
//
// A level takes x and y bounded by b to x + y, bounded by 2b, and (x - y) w, bounded by q (1/2 + 2b 2^-55): sums grow
// and must be reduced, products do not. The schedule tracks b, a bound over all elements, from pass to pass.
#pragma once

#include "kernels/avx2_passes.h"

namespace hetorch::kernels {
namespace {

// The bound of (x - y) w for |x - y| <= d.
inline double product_bound(double d, double q) { return q * (0.5 + d * kTwoToMinus55) + 1; }

// Return how many of the outputs v0, v1 of a radix-4 pass must be reduced so that the next pass may start
// (4 b <= kMaximum), and update b to the bound after the pass. From inputs bounded by b the pass has differences up to
// 4b in its second level; v0 is a sum of four inputs, v1 a sum of two products, v2 and v3 are products. Reducing both
// leaves b <= 5/8 q + 1, which always suffices, as q < 2^50.
inline int inverse_bound(double& b, double q) {
  const double product = product_bound(4 * b, q);
  if (4 * (4 * b) <= kMaximum) {
    b = 4 * b;  // b >= q / 2 throughout, so v1 is below that
    return 0;
  }
  const int reduce = 4 * (2 * product) <= kMaximum ? 1 : 2;
  b = reduce == 1 ? 2 * product : product;
  return reduce;
}

// Return Schedule::tile_reduce for a tile of 8 or 16 residues in [0, q), and set b to the bound after it.
//   0: nothing is reduced; the largest sum has all 8 or 16 inputs.
//   1: the vectors that hold such sums are reduced at the end; the others are sums of at most two products.
//   2: the sums are reduced after the two levels inside vectors (4q before, 5/8 q after) and again at the end (at most
//      4 * 5/8 q before).
inline int tile_reduction(double& b, std::size_t tile, double q) {
  const double sum = q * static_cast<double>(tile);
  if (4 * sum <= kMaximum) {
    b = sum;
    return 0;
  }
  if (sum <= kMaximum && 8 * product_bound(sum, q) <= kMaximum) {
    b = 2 * product_bound(sum, q);
    return 1;
  }
  b = product_bound(kMaximum, q);
  return 2;
}

inline Schedule inverse_schedule(const NttView& t) {
  Schedule s;
  const double q = t.modulus.q_double;
  double bound = 0;
  s.tile_levels = tile_levels_of(t.n);
  s.tile_reduce = tile_reduction(bound, tile_size(s), q);
  for (std::size_t half = 2 * tile_size(s); half < t.n; half *= 4) {
    const bool last = 2 * half == t.n;
    s.passes[s.count++] = {t.n / (2 * half), half, last, last ? 0 : inverse_bound(bound, q)};
  }
  return s;
}

// The last level: x = (x + y) / n, y = (x - y) psi^-bitrev(1) / n, as canonical integers.
inline void scale_butterfly(Vector& x, Vector& y, const Root& sum, const Root& difference, const Prime& p) {
  const Vector d = _mm256_sub_pd(x, y);
  const Vector s = _mm256_add_pd(x, y);
  x = canonical_bits(multiply_prepared(s, sum.w, sum.w_over_q, p), p);
  y = canonical_bits(multiply_prepared(d, difference.w, difference.w_over_q, p), p);
}

inline Root broadcast_multiplier(const Multiplier& m) {
  return {broadcast_bits(&m.value), broadcast_bits(&m.quotient)};
}

// One inverse transform: the tables, and the factors of sums and differences in the last level.
struct Inverse {
  const NttView& table;
  Multiplier sum;
  Multiplier difference;
};

template <bool kLast, int kReduce>
void inverse_pass(u64* a, const Inverse& inverse, const Pass& pass, std::size_t begin, std::size_t end) {
  const NttView& t = inverse.table;
  const Prime p(t.modulus);
  const std::size_t quarter = pass.half / 2;
  const Root scale = broadcast_multiplier(inverse.sum);
  const Root scale_root = broadcast_multiplier(inverse.difference);
  for (std::size_t g = begin; g < end; ++g) {
    u64* x = a + g * 2 * pass.half;
    const Root first = broadcast_root(t.inverse_roots, t.inverse_root_quotients, pass.groups + g);
    const Root second = broadcast_root(t.inverse_roots, t.inverse_root_quotients, 2 * (pass.groups + g));
    const Root third = broadcast_root(t.inverse_roots, t.inverse_root_quotients, 2 * (pass.groups + g) + 1);
    for (std::size_t j = 0; j < quarter; j += kLanes) {
      Vector v[4];
      for (std::size_t k = 0; k < 4; ++k) v[k] = load(x + k * quarter + j);
      inverse_butterflies(v[0], v[1], second, v[2], v[3], third, p);
      if (kLast) {
        scale_butterfly(v[0], v[2], scale, scale_root, p);
        scale_butterfly(v[1], v[3], scale, scale_root, p);
      } else {
        inverse_butterflies(v[0], v[2], first, v[1], v[3], first, p);
      }
      for (std::size_t k = 0; k < kReduce; ++k) v[k] = reduce_centred(v[k], p);
      for (std::size_t k = 0; k < 4; ++k) store(x + k * quarter + j, v[k]);
    }
  }
}

// The tile pass on the blocks [begin, end) of 16 residues: one tile of 16 (kLevels = 2) or two tiles of 8 (kLevels = 1)
// at a time. kOnly: n = 16, so the last level of the tile is the last of the transform.
template <int kLevels, int kReduce, bool kOnly>
void inverse_tiles(u64* a, const Inverse& inverse, std::size_t begin, std::size_t end) {
  const NttView& t = inverse.table;
  const Prime p(t.modulus);
  const u64* w = t.inverse_roots;
  const u64* c = t.inverse_root_quotients;
  for (std::size_t i = begin; i < end; ++i) {
    u64* x = a + 16 * i;
    const std::size_t tile = t.n / 8 + 2 * i;
    Vector v[4];
    for (std::size_t k = 0; k < 4; ++k) v[k] = load_residues(x + kLanes * k);
    swap_halves(v[0], v[1]);
    swap_halves(v[2], v[3]);
    swap_neighbours(v[0], v[1]);
    swap_neighbours(v[2], v[3]);
    inverse_butterflies(v[0], v[1], vector_root(w, c, 4 * tile), v[2], v[3], vector_root(w, c, 4 * tile + 4), p);
    swap_neighbours(v[0], v[1]);
    swap_neighbours(v[2], v[3]);
    inverse_butterflies(v[0], v[1], pair_root(w, c, 2 * tile), v[2], v[3], pair_root(w, c, 2 * tile + 2), p);
    if (kReduce == 2) {
      v[0] = reduce_centred(v[0], p);
      v[2] = reduce_centred(v[2], p);
    }
    swap_halves(v[0], v[1]);
    swap_halves(v[2], v[3]);
    inverse_butterflies(v[0], v[1], broadcast_root(w, c, tile), v[2], v[3], broadcast_root(w, c, tile + 1), p);
    if (kOnly) {
      const Root scale = broadcast_multiplier(inverse.sum);
      const Root scale_root = broadcast_multiplier(inverse.difference);
      scale_butterfly(v[0], v[2], scale, scale_root, p);
      scale_butterfly(v[1], v[3], scale, scale_root, p);
    } else if (kLevels == 2) {
      const Root first = broadcast_root(w, c, t.n / 16 + i);
      inverse_butterflies(v[0], v[2], first, v[1], v[3], first, p);
    }
    if (kReduce != 0 && !kOnly) v[0] = reduce_centred(v[0], p);
    if (kReduce != 0 && kLevels == 1) v[2] = reduce_centred(v[2], p);
    if (kReduce == 2 && kLevels == 2 && !kOnly) v[1] = reduce_centred(v[1], p);
    for (std::size_t k = 0; k < 4; ++k) store(x + kLanes * k, v[k]);
  }
}

inline void run_inverse_pass(u64* a, const Inverse& t, const Pass& pass, std::size_t begin, std::size_t end) {
  if (pass.convert) return inverse_pass<true, 0>(a, t, pass, begin, end);
  if (pass.reduce == 0) return inverse_pass<false, 0>(a, t, pass, begin, end);
  if (pass.reduce == 1) return inverse_pass<false, 1>(a, t, pass, begin, end);
  inverse_pass<false, 2>(a, t, pass, begin, end);
}

template <int kLevels>
void run_inverse_tiles(u64* a, const Inverse& t, const Schedule& s, std::size_t begin, std::size_t end) {
  if (s.tile_reduce == 0) return inverse_tiles<kLevels, 0, false>(a, t, begin, end);
  if (s.tile_reduce == 1) return inverse_tiles<kLevels, 1, false>(a, t, begin, end);
  inverse_tiles<kLevels, 2, false>(a, t, begin, end);
}

// Run all passes up to `last` inside block g of that pass, depth first; last = -1 is the tile pass.
inline void ascend(u64* a, const Inverse& t, const Schedule& s, int last, std::size_t g) {
  const std::size_t size = last >= 0 ? 2 * s.passes[last].half : tile_size(s);
  if (size > kBlock) {
    for (std::size_t k = 0; k < 4; ++k) ascend(a, t, s, last - 1, 4 * g + k);
    run_inverse_pass(a, t, s.passes[last], g, g + 1);
    return;
  }
  const std::size_t begin = g * (size / 16);
  const std::size_t end = (g + 1) * (size / 16);
  if (s.count == 0) {
    inverse_tiles<2, 2, true>(a, t, begin, end);
  } else if (s.tile_levels == 1) {
    run_inverse_tiles<1>(a, t, s, begin, end);
  } else {
    run_inverse_tiles<2>(a, t, s, begin, end);
  }
  for (int i = 0; i <= last; ++i) {
    const std::size_t blocks = size / (2 * s.passes[i].half);
    run_inverse_pass(a, t, s.passes[i], g * blocks, (g + 1) * blocks);
  }
}

inline void run_inverse(u64* a, const Inverse& t) {
  const Schedule s = inverse_schedule(t.table);
  ascend(a, t, s, s.count - 1, 0);
}

void ntt_inverse(u64* a, const NttView& t) { run_inverse(a, {t, t.n_inverse, t.n_inverse_root}); }

void ntt_inverse_from(u64* out, const u64* a, const NttView& t) {
  copy(out, a, t.n);
  ntt_inverse(out, t);
}

void ntt_inverse_multiply(u64* out, const u64* a, u64 c, const NttView& t) {
  const u64 q = t.modulus.q;
  const auto times_c = [&](const Multiplier& f) {
    return prepare(static_cast<u64>(u128{prepared_value(f, q)} * c % q), t.modulus);
  };
  copy(out, a, t.n);
  run_inverse(out, {t, times_c(t.n_inverse), times_c(t.n_inverse_root)});
}

}  // namespace
}  // namespace hetorch::kernels
