// Sums of products, neither relinearised nor rescaled: the caller does both once for the whole sum.
#pragma once

#include <span>

#include "ckks/evaluator.h"

namespace hetorch::ckks {

using CiphertextRefs = std::span<const Ciphertext* const>;

// sum_i ct_i * values_i, slot by slot. values: one row of `period` reals for each ciphertext, repeated along the slots
// (period divides the slot count) and encoded at `scale`. The result has the common scale of the ciphertexts times
// `scale`, and the lowest of their levels. Throws LevelError if the scales differ or the modulus cannot hold the
// product.
Ciphertext sum_of_values(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> values,
                         std::size_t period, double scale);

// sum_i ct_i * weights_i, each weight the same in all slots and encoded as the integer round(weight * scale). Scale,
// level and errors as above.
Ciphertext sum_of_weights(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> weights,
                          double scale);

// sum_i ct_i * round(factors_i) at a level that all have, labelled with `scale`: the caller knows that every ct_i's
// scale times that of its factor is this one. The polynomials are read once, and their other primes not at all. Throws
// LevelError for a factor that is not finite, std::invalid_argument if a ciphertext is below the level.
Ciphertext sum_of_integers(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> factors,
                           std::size_t level, double scale);

// sum_i a_i * b_i. The result has (parts of a_i) + (parts of b_i) - 1 parts, the most of all pairs: three for factors
// of two. All a_i must have one scale, and all b_i; the result's is the product. Throws LevelError if they differ, the
// modulus cannot hold the product, or it would have more than kMostParts parts.
Ciphertext sum_of_products(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b);

// ct + values, slot by slot. values: reals, repeated along the slots and encoded at the ciphertext's scale and level.
Ciphertext add_values(const Evaluator& evaluator, const Ciphertext& ct, std::span<const double> values);

}  // namespace hetorch::ckks
