// Arithmetic on ciphertexts. Every function returns a new object and leaves its arguments as they are; all may run from
// many threads at once. Scales are exact doubles; operands of a sum must agree within kScaleTolerance (LevelError
// otherwise).
#pragma once

#include <span>

#include "ckks/ciphertext.h"
#include "ckks/context.h"

namespace hetorch::ckks {

// 2^-20: far below any precision that a chain of primes under 2^50 can reach, far above the rounding of a double.
inline constexpr double kScaleTolerance = 0x1p-20;

class Evaluator {
 public:
  Evaluator(const Context& context, const rlwe::EvaluationKeys* keys) : context_(context), keys_(keys) {}

  const Context& context() const { return context_; }

  // The level of the lower operand.
  Ciphertext add(const Ciphertext& a, const Ciphertext& b) const;
  Ciphertext subtract(const Ciphertext& a, const Ciphertext& b) const;
  Ciphertext negate(const Ciphertext& a) const;
  Ciphertext add(const Ciphertext& a, const Plaintext& p) const;
  Ciphertext multiply(const Ciphertext& a, const Plaintext& p) const;
  // value in every slot; the scale of `a` stays.
  Ciphertext add(const Ciphertext& a, double value) const;
  // round(value * scale) as an integer factor: the scale grows by `scale`.
  Ciphertext multiply(const Ciphertext& a, double value, double scale) const;

  // Three parts of factors of two, and so on (sum_of_products); scale = product of the scales.
  Ciphertext multiply_raw(const Ciphertext& a, const Ciphertext& b) const;
  // Back to two parts.
  Ciphertext relinearise(const Ciphertext& a) const;
  Ciphertext multiply(const Ciphertext& a, const Ciphertext& b) const { return relinearise(multiply_raw(a, b)); }

  // rescale(relinearise(a)) in one division, with one rounding less. Two parts are only rescaled.
  Ciphertext relinearise_rescale(const Ciphertext& a) const;
  // Divide by q_level, rounded: level - 1, scale / q_level.
  Ciphertext rescale(const Ciphertext& a) const;
  Ciphertext drop_level(const Ciphertext& a, std::size_t level) const;

  // Slots to the left by `steps` (cyclic; negative: to the right).
  Ciphertext rotate(const Ciphertext& a, std::int64_t steps) const;
  // One rotation for each entry of `steps`, with the digits of `a` made once for all (hoisting).
  std::vector<Ciphertext> rotate_many(const Ciphertext& a, std::span<const std::int64_t> steps) const;
  Ciphertext conjugate(const Ciphertext& a) const;

  // g^steps mod 2N, g the slot generator
  std::uint32_t galois_element(std::int64_t steps) const;
  // The key of a Galois element if it reaches `level`; KeyMissingError otherwise.
  const rlwe::SwitchingKey& galois_key(std::uint32_t element, std::size_t level) const;

  // The relinearisation key if it reaches `level`; KeyMissingError otherwise.
  const rlwe::SwitchingKey& relinearisation_key(std::size_t level) const;

 private:
  Ciphertext apply_automorphism(const Ciphertext& a, std::uint32_t element) const;

  const Context& context_;
  const rlwe::EvaluationKeys* keys_;
};

}  // namespace hetorch::ckks
