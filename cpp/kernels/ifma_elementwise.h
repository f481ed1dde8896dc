// Element-wise kernels and sums of products with 52-bit multiply-add.
#pragma once

#include "kernels/ifma_arithmetic.h"

namespace hetorch::kernels {
namespace {

void add_residues(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  const Vec q = broadcast(m.q);
  for (std::size_t j = 0; j < n; j += kLanes) store(out + j, reduce_once(add(load(a + j), load(b + j)), q));
}

void subtract_residues(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  const Vec q = broadcast(m.q);
  for (std::size_t j = 0; j < n; j += kLanes) {
    store(out + j, reduce_once(subtract(add(load(a + j), q), load(b + j)), q));
  }
}

void negate_residues(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  const Vec q = broadcast(m.q);
  for (std::size_t j = 0; j < n; j += kLanes) store(out + j, reduce_once(subtract(q, load(a + j)), q));
}

void multiply_residues(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const WideReduction r(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    Wide product = {broadcast(0), broadcast(0)};
    accumulate(product, load(a + j), load(b + j));
    store(out + j, reduce_once(reduce_wide(product, r, p), p.q));
  }
}

void multiply_add(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const WideReduction r(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    Wide sum = {broadcast(0), load(out + j)};
    accumulate(sum, load(a + j), load(b + j));
    store(out + j, reduce_once(reduce_wide(sum, r, p), p.q));
  }
}

void multiply_add_pair(u64* out0, u64* out1, const u64* factor, const u64* x0, const u64* x1, std::size_t n,
                       const ModulusConstants& m) {
  const Prime p(m);
  const WideReduction r(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vec f = load(factor + j);
    Wide sum0 = {broadcast(0), load(out0 + j)};
    Wide sum1 = {broadcast(0), load(out1 + j)};
    accumulate(sum0, f, load(x0 + j));
    accumulate(sum1, f, load(x1 + j));
    store(out0 + j, reduce_once(reduce_wide(sum0, r, p), p.q));
    store(out1 + j, reduce_once(reduce_wide(sum1, r, p), p.q));
  }
}

void multiply_scalar(u64* out, const u64* a, u64 c, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const Factor f = broadcast_factor(prepare(c, m));
  for (std::size_t j = 0; j < n; j += kLanes) {
    store(out + j, reduce_once(multiply_prepared(load(a + j), f, p), p.q));
  }
}

void subtract_multiply_scalar(u64* out, const u64* a, const u64* b, u64 c, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const Factor f = broadcast_factor(prepare(c, m));
  const Vec raise = broadcast(((u64{1} << 50) / m.q + 1) * m.q);  // a multiple of q above every b
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vec difference = subtract(add(load(a + j), raise), load(b + j));
    store(out + j, reduce_once(multiply_prepared(difference, f, p), p.q));
  }
}

void reduce_residues(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  for (std::size_t j = 0; j < n; j += kLanes) store(out + j, canonical_half(load(a + j), p));
}

// The number is taken as the low part of a sum: 2^60 < 2^64 - 2^52.
void reduce_wide_residues(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const WideReduction r(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    store(out + j, reduce_once(reduce_wide({broadcast(0), load(a + j)}, r, p), p.q));
  }
}

// Where a is above source / 2, a - source is formed as a + missing: the two are congruent modulo q.
void reduce_centred(u64* out, const u64* a, u64 source, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const WideReduction r(m);
  const Vec half = broadcast(source / 2);
  const Vec missing = broadcast(m.q - source % m.q);
  if (source >> 50 == 0) {  // the sum is below 2^51
    for (std::size_t j = 0; j < n; j += kLanes) {
      const Vec x = load(a + j);
      store(out + j, canonical(add_where_above(x, x, half, missing), p));
    }
    return;
  }
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vec x = load(a + j);
    const Wide sum = {broadcast(0), add_where_above(x, x, half, missing)};
    store(out + j, reduce_once(reduce_wide(sum, r, p), p.q));
  }
}

// For integers |x| < 2^50. A multiple of q above 2^50 and 2^52 are added: the sum is an integer in [2^52, 2^53), and
// the low 52 bits of the double, its mantissa, are the sum minus 2^52.
void residues_of_reals(u64* out, const double* x, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const Real raise = broadcast_real(0x1p52 + static_cast<double>(((u64{1} << 50) / m.q + 1) * m.q));
  for (std::size_t j = 0; j < n; j += kLanes)
    store(out + j, canonical(bits_of_reals(add(load_reals(x + j), raise)), p));
}

// Number of products after which a sum is reduced. Of eight products below 2^100 the high parts add up to less than
// 2^51; with the low parts, q and the carried remainder, reduce_wide() stays below 2^51 + 2^50 + 16. A larger chunk
// would leave its range.
constexpr std::size_t kChunk = 8;

void round_quotient(u64* out, const u64* const* in, const double* inverses, std::size_t count, std::size_t n) {
  for (std::size_t j = 0; j < n; j += kLanes) {
    Real sum = broadcast_real(0.0);
    for (std::size_t i = 0; i < count; ++i) {
      sum = add(sum, multiply(to_real(load(in[i] + j)), broadcast_real(inverses[i])));
    }
    store(out + j, floor_to_integer(add(broadcast_real(0.5), sum)));
  }
}

void permute(u64* out, const u64* a, const std::uint32_t* index, std::size_t n) {
  for (std::size_t j = 0; j < n; j += kLanes) {
    store(out + j, permute_lanes(load(a + index[j] / kLanes * kLanes), index + j));
  }
}

}  // namespace
}  // namespace hetorch::kernels
