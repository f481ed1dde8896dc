// Slots to ring elements and back: the canonical embedding, slot j at the root zeta^(g^j), g = 5 or 3.
#pragma once

#include <complex>
#include <span>
#include <vector>

#include "ckks/slot_order.h"
#include "ring/poly.h"

namespace hetorch::ckks {

using ring::Limbs;
using ring::NttPoly;
using Complex = std::complex<double>;

class Encoder {
 public:
  // slot_generator: 5 or 3 (std::invalid_argument otherwise).
  explicit Encoder(const ring::RnsBasis& basis, std::uint64_t slot_generator = 5);

  std::size_t slot_count() const { return n_ / 2; }
  std::uint64_t slot_generator() const { return order_.generator(); }

  // slot_count values, in natural slot order. |coefficient| * 2 must stay below the product of the data primes in
  // `limbs` (LevelError otherwise). The rounding error of each coefficient is at most 1/2.
  NttPoly encode(std::span<const Complex> values, double scale, Limbs limbs) const;

  // `values`, a period of reals that divides slot_count, repeated along all slots; otherwise as encode.
  NttPoly encode_periodic(std::span<const double> values, double scale, Limbs limbs) const;

  // n integers (as doubles, already rounded) as a ring element; the same bound. The time depends on the size of the
  // largest coefficient in steps of 50 bits, and on no other property of the values.
  NttPoly lift(std::span<const double> coefficients, Limbs limbs) const;

  // poly over data primes only; its coefficients are taken as the nearest to zero; exact below Q/2 (1 - 2/q_L).
  std::vector<Complex> decode(const NttPoly& poly, double scale) const;

 private:
  kernels::EmbeddingView embedding() const { return {slot_count(), cosines_.data(), sines_.data()}; }
  // What encode does once the slots stand in the order of the embedding: slot_count real parts, then as many
  // imaginary ones, which it overwrites.
  NttPoly encode_ordered(double* re, double scale, Limbs limbs) const;
  // coefficients: n doubles, integers of magnitude up to `largest`.
  NttPoly residues(const double* coefficients, double largest, Limbs limbs) const;

  const ring::RnsBasis& basis_;
  std::size_t n_;
  SlotOrder order_;
  std::vector<double> cosines_;  // as kernels::EmbeddingView has them
  std::vector<double> sines_;
  // inverses_[i][j] = q_j^-1 mod q_i for j < i, for the mixed radix.
  std::vector<std::vector<std::uint64_t>> inverses_;
};

}  // namespace hetorch::ckks
