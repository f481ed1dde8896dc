// Batched operations: one operation on each of many ciphertexts. Threads share the ciphertexts and not the rows of one
// ciphertext, so that no thread waits inside an operation. Every result has the bits of the single operation.
//
// Operands must not be null, and there must be as many right operands as left ones (std::invalid_argument).
#pragma once

#include "ckks/sums.h"

namespace hetorch::ckks {

using Ciphertexts = std::vector<Ciphertext>;

Ciphertexts negate_each(const Evaluator& evaluator, CiphertextRefs a);

Ciphertexts add_each(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b);
Ciphertexts subtract_each(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b);
Ciphertexts add_constants(const Evaluator& evaluator, CiphertextRefs a, std::span<const double> values);

// Return sum_of_weights of each run of `terms` ciphertexts and weights. rescale: true to rescale each sum.
Ciphertexts sums_of_weights(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> weights,
                            std::size_t terms, double scale, bool rescale);

// Return sum_of_products of each run of `terms` pairs. relinearise, rescale: true to relinearise each sum, and then to
// rescale it.
Ciphertexts sums_of_products(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b, std::size_t terms,
                             bool relinearise, bool rescale);

}  // namespace hetorch::ckks
