// Element-wise kernels and sums of products for primes below 2^60.
#pragma once

#include "kernels/tiled_sums.h"
#include "kernels/wide_arithmetic.h"

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
  const Shifted shifted(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    Sum sum(broadcast(0));
    accumulate(sum, Operand(shift_left(load(a + j), shifted.bits)), Operand(load(b + j)));
    store(out + j, residue(sum, shifted));
  }
}

void multiply_add(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  const Shifted shifted(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    Sum sum(shift_left(load(out + j), shifted.bits));
    accumulate(sum, Operand(shift_left(load(a + j), shifted.bits)), Operand(load(b + j)));
    store(out + j, residue(sum, shifted));
  }
}

void multiply_add_pair(u64* out0, u64* out1, const u64* factor, const u64* x0, const u64* x1, std::size_t n,
                       const ModulusConstants& m) {
  const Shifted shifted(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Operand f(shift_left(load(factor + j), shifted.bits));
    Sum sum0(shift_left(load(out0 + j), shifted.bits));
    Sum sum1(shift_left(load(out1 + j), shifted.bits));
    accumulate(sum0, f, Operand(load(x0 + j)));
    accumulate(sum1, f, Operand(load(x1 + j)));
    store(out0 + j, residue(sum0, shifted));
    store(out1 + j, residue(sum1, shifted));
  }
}

void multiply_scalar(u64* out, const u64* a, u64 c, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const Factor f = broadcast_factor(prepare(c, m));
  for (std::size_t j = 0; j < n; j += kLanes) {
    store(out + j, canonical4(multiply_prepared(load(a + j), f, p), p));
  }
}

void subtract_multiply_scalar(u64* out, const u64* a, const u64* b, u64 c, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const Factor f = broadcast_factor(prepare(c, m));
  const Vec raise = broadcast(((u64{1} << 60) / m.q + 1) * m.q);  // a multiple of q above every b
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vec difference = subtract(add(load(a + j), raise), load(b + j));
    store(out + j, canonical4(multiply_prepared(difference, f, p), p));
  }
}

// Any 64-bit x -> x mod q: Shoup's product by 1.
struct Reduction {
  explicit Reduction(const ModulusConstants& m) : p(m), one(split(broadcast(prepare(1, m).quotient))) {}
  Vec operator()(Vec x) const { return canonical4(subtract(x, multiply_word(high_product(x, one), p.q)), p); }
  Prime p;
  Split one;
};

void reduce_residues(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  const Reduction reduction(m);
  for (std::size_t j = 0; j < n; j += kLanes) store(out + j, reduction(load(a + j)));
}

// For integers |x| < 2^50: a multiple of q above 2^50 is added first.
void residues_of_reals(u64* out, const double* x, std::size_t n, const ModulusConstants& m) {
  const Reduction reduction(m);
  const Vec raise = broadcast(((u64{1} << 50) / m.q + 1) * m.q);
  for (std::size_t j = 0; j < n; j += kLanes) {
    store(out + j, reduction(add(to_signed_integer(load_reals(x + j)), raise)));
  }
}

// Where a is above source / 2, a - source is formed as a + missing: the two are congruent modulo q.
void reduce_centred(u64* out, const u64* a, u64 source, std::size_t n, const ModulusConstants& m) {
  const Reduction reduction(m);
  const Vec half = broadcast(source / 2);
  const Vec missing = broadcast(m.q - source % m.q);
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vec x = load(a + j);
    store(out + j, reduction(add_where_above(x, x, half, missing)));
  }
}

// Number of products after which a sum is reduced: the most that Sum can hold.
constexpr std::size_t kChunk = 8;

void inner_product_pair(u64* out0, u64* out1, const u64* const* a, const u64* const* b0, const u64* const* b1,
                        std::size_t count, std::size_t n, const ModulusConstants& m) {
  const Shifted shifted(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    Vec carry0 = broadcast(0);
    Vec carry1 = broadcast(0);
    for (std::size_t begin = 0; begin < count; begin += kChunk) {
      const std::size_t end = begin + kChunk < count ? begin + kChunk : count;
      Sum sum0(carry0);
      Sum sum1(carry1);
      for (std::size_t i = begin; i < end; ++i) {
        const Operand f(shift_left(load(a[i] + j), shifted.bits));
        accumulate(sum0, f, Operand(load(b0[i] + j)));
        accumulate(sum1, f, Operand(load(b1[i] + j)));
      }
      carry0 = remainder(sum0, shifted);
      carry1 = remainder(sum1, shifted);
    }
    store(out0 + j, shift_right(canonical8(carry0, shifted.prime), shifted.bits));
    store(out1 + j, shift_right(canonical8(carry1, shifted.prime), shifted.bits));
  }
}

// Prepared weights make it unnecessary to split the inputs and to form 120-bit quotients. Three products below 4q and a
// carry below 4q add up to less than 16q < 2^64, and the quotients of the three are subtracted together.
void weighted_sum(u64* out, const u64* const* in, const u64* weights, std::size_t count, std::size_t n,
                  const ModulusConstants& m) {
  constexpr std::size_t kTerms = 3;
  const Prime p(m);
  Multiplier prepared[64];
  for (std::size_t i = 0; i < count; ++i) prepared[i] = prepare(weights[i], m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    Vec carry = broadcast(0);
    for (std::size_t begin = 0; begin < count; begin += kTerms) {
      const std::size_t end = begin + kTerms < count ? begin + kTerms : count;
      Vec quotient = broadcast(0);
      for (std::size_t i = begin; i < end; ++i) {
        const Vec x = load(in[i] + j);
        const Factor f = broadcast_factor(prepared[i]);
        quotient = add(quotient, high_product(x, f.quotient));
        carry = add(carry, multiply_word(x, f.w));
      }
      carry = subtract(carry, multiply_word(quotient, p.q));
      carry = reduce_once(reduce_once(carry, p.eight), p.four);
    }
    store(out + j, canonical4(carry, p));
  }
}

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
