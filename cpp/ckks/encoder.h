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

  // n integers (as doubles, already rounded) as a ring element; the same bound.
  NttPoly lift(std::span<const double> coefficients, Limbs limbs) const;

  // poly over data primes only; its coefficients are taken as the nearest to zero; exact below Q/2 (1 - 2/q_L).
  std::vector<Complex> decode(const NttPoly& poly, double scale) const;

 private:
  void embed(std::vector<double>& re, std::vector<double>& im) const;          // coefficients to slots
  void embed_inverse(std::vector<double>& re, std::vector<double>& im) const;  // slots to coefficients
  void reverse(std::vector<double>& values) const;

  const ring::RnsBasis& basis_;
  std::size_t n_;
  SlotOrder order_;
  // zeta^(5^j * 2N / (4 * length)) for stage `length` at offset length/2 - 1… (length = 2, 4, …, n/2).
  std::vector<double> cos_;
  std::vector<double> sin_;
};

}  // namespace hetorch::ckks
