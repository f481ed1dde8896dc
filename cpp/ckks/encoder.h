// Encoding of slots as ring elements, and decoding: the canonical embedding, with slot j at the root zeta^(g^j), g = 5
// or 3.
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

  // Encode slot_count values at `scale`. The rounding error of each coefficient is at most 1/2. Throws LevelError if
  // the scale is not positive and finite, or if twice the largest coefficient is not below the product of the data
  // primes in `limbs`.
  NttPoly encode(std::span<const Complex> values, double scale, Limbs limbs) const;

  // Encode real values that repeat along the slots; their number must divide slot_count. Otherwise as encode().
  NttPoly encode_periodic(std::span<const double> values, double scale, Limbs limbs) const;

  // The first half of encode(): write the n coefficients of the encoded values, rounded to integers, to `coefficients`.
  // Returns the largest magnitude. Throws as encode().
  double round_coefficients(std::span<const Complex> values, double scale, Limbs limbs, double* coefficients) const;

  // The second half of encode(), for one prime and a polynomial in X^(n / count): row = the transform, modulo the prime
  // of this index, of the polynomial that has `count` integer coefficients, of magnitude `largest` at most, at the
  // multiples of n / count. Each of its values stands for n / count equal ones in a row. count: a power of two from 16
  // to n.
  void transform(std::uint64_t* row, const double* coefficients, double largest, std::size_t count,
                 std::size_t index) const;

  // Make a ring element of n coefficients, rounded to integers; the same bound holds. The time depends on the size of
  // the largest coefficient, in steps of 50 bits, and on no other property of the coefficients.
  NttPoly lift(std::span<const double> coefficients, Limbs limbs) const;

  // Return the slots of a polynomial over data primes, divided by `scale`. Its coefficients are centred, exactly if
  // they are below Q/2 (1 - 2/q_L) in magnitude.
  std::vector<Complex> decode(const NttPoly& poly, double scale) const;

 private:
  kernels::EmbeddingView embedding() const { return {slot_count(), cosines_.data(), sines_.data()}; }
  // Replace values in the slot order of the embedding, slot_count real parts and then as many imaginary parts at `re`,
  // by their n coefficients, rounded to integers. Returns the largest magnitude.
  double round_ordered(double* re, double scale) const;
  // Throw LevelError if twice `largest` is not below the product of the data primes in `limbs`.
  void check_size(double largest, Limbs limbs) const;
  // The ring element with these n coefficients, integers of magnitude `largest` at most. Throws as check_size().
  NttPoly residues(const double* coefficients, double largest, Limbs limbs) const;
  // transform() of integers that are split into `words` words each.
  void transform_words(std::uint64_t* row, const double* words, std::size_t word_count, std::size_t count,
                       std::size_t index) const;

  const ring::RnsBasis& basis_;
  std::size_t n_;
  SlotOrder order_;
  std::vector<double> cosines_;  // laid out as kernels::EmbeddingView describes
  std::vector<double> sines_;
  // inverses_[i][j] = q_j^-1 mod q_i for j < i, for the conversion to mixed radix.
  std::vector<std::vector<std::uint64_t>> inverses_;
};

}  // namespace hetorch::ckks
