// Arithmetic on ciphertexts. Every function returns a new object and leaves its arguments unchanged; many threads may
// call them at once. Scales are exact doubles, and the scales of a sum's operands must agree within kScaleTolerance.
// Functions throw LevelError if the levels, scales or parts of their operands do not fit, KeyMissingError if a key is
// missing, and std::invalid_argument if an operand was made under other parameters.
#pragma once

#include <span>

#include "ckks/ciphertext.h"
#include "ckks/context.h"

namespace hetorch::ckks {

// Largest relative difference between the scales of a sum's operands: 2^-20 is far below the precision that a chain of
// primes under 2^50 can reach, and far above the rounding of doubles. Raised, sums lose precision unnoticed.
inline constexpr double kScaleTolerance = 0x1p-20;

class Evaluator {
 public:
  // keys: may be null; must outlive this object, as `context` must.
  Evaluator(const Context& context, const rlwe::EvaluationKeys* keys) : context_(context), keys_(keys) {}

  const Context& context() const { return context_; }

  // The result has the level of the lower operand.
  Ciphertext add(const Ciphertext& a, const Ciphertext& b) const;
  Ciphertext subtract(const Ciphertext& a, const Ciphertext& b) const;
  Ciphertext negate(const Ciphertext& a) const;
  Ciphertext add(const Ciphertext& a, const Plaintext& p) const;
  Ciphertext multiply(const Ciphertext& a, const Plaintext& p) const;
  // Add `value` to every slot; the scale remains.
  Ciphertext add(const Ciphertext& a, double value) const;
  // Multiply every slot by `value`, encoded as the integer round(value * scale): the scale is multiplied by `scale`.
  Ciphertext multiply(const Ciphertext& a, double value, double scale) const;

  // Product without relinearisation: three parts for factors of two (see sum_of_products); its scale is the product of
  // the scales.
  Ciphertext multiply_raw(const Ciphertext& a, const Ciphertext& b) const;
  // Reduce three parts to two.
  Ciphertext relinearise(const Ciphertext& a) const;
  Ciphertext multiply(const Ciphertext& a, const Ciphertext& b) const { return relinearise(multiply_raw(a, b)); }

  // rescale(relinearise(a)) in one division, with one rounding less. Two parts are only rescaled.
  Ciphertext relinearise_rescale(const Ciphertext& a) const;
  // Divide by q_level, rounded to the nearest: the level falls by one, the scale is divided by q_level.
  Ciphertext rescale(const Ciphertext& a) const;
  // Drop the primes above `level`; the scale remains.
  Ciphertext drop_level(const Ciphertext& a, std::size_t level) const;

  // Rotate the slots cyclically to the left by `steps`; to the right if negative.
  Ciphertext rotate(const Ciphertext& a, std::int64_t steps) const;
  // Return one rotation for each entry of `steps`; they share one decomposition of `a` (hoisting).
  std::vector<Ciphertext> rotate_many(const Ciphertext& a, std::span<const std::int64_t> steps) const;
  // Conjugate every slot.
  Ciphertext conjugate(const Ciphertext& a) const;

  // Return g^steps mod 2N, g the slot generator.
  std::uint32_t galois_element(std::int64_t steps) const;
  // Return the key of this name that reaches `level` and has the fewest special primes; throw KeyMissingError if there
  // is none.
  const rlwe::SwitchingKey& key(const rlwe::KeyName& name, std::size_t level) const;
  // Return the key of a Galois element in this family, if it reaches `level`; throw KeyMissingError otherwise.
  const rlwe::SwitchingKey& galois_key(std::uint32_t element, std::size_t level, const rlwe::KeyFamily& family) const;

 private:
  Ciphertext apply_automorphism(const Ciphertext& a, std::uint32_t element) const;

  const Context& context_;
  const rlwe::EvaluationKeys* keys_;
};

}  // namespace hetorch::ckks
