// Sums of products of ciphertexts, with one rescale and one relinearisation to come for the whole sum.
#pragma once

#include <span>

#include "ckks/evaluator.h"

namespace hetorch::ckks {

using CiphertextRefs = std::span<const Ciphertext* const>;

// sum_i ct_i * values_i in the slots; `values` holds one row of `period` reals for each ciphertext, which repeats along
// the slots (period divides the slot count). Encoded at `scale`: the result has the common scale of the ciphertexts
// times `scale`, and the lowest of their levels. Scales that differ, or a product that no modulus holds: LevelError.
Ciphertext sum_of_values(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> values,
                         std::size_t period, double scale);

// sum_i ct_i * weights_i, each weight the same in all slots: round(weight * scale) as an integer factor.
Ciphertext sum_of_weights(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> weights,
                          double scale);

// sum_i a_i * b_i, of as many parts as the polynomials in s need: three for factors of two. Scale a_0 * b_0, which the
// other pairs must have too. More than kMostParts: LevelError.
Ciphertext sum_of_products(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b);

// ct + values in the slots, encoded at the scale and level of the ciphertext.
Ciphertext add_values(const Evaluator& evaluator, const Ciphertext& ct, std::span<const double> values);

}  // namespace hetorch::ckks
