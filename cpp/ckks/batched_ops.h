// One operation on many ciphertexts, which the threads share: element by element where there is more than one, so that
// nobody waits inside an operation. Each result has the bits of the operation by itself.
#pragma once

#include "ckks/sums.h"

namespace hetorch::ckks {

using Ciphertexts = std::vector<Ciphertext>;

Ciphertexts negate_each(const Evaluator& evaluator, CiphertextRefs a);
// As many of `b`, or of `values`, as of `a`.
Ciphertexts add_each(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b);
Ciphertexts subtract_each(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b);
Ciphertexts add_constants(const Evaluator& evaluator, CiphertextRefs a, std::span<const double> values);

// sum_of_weights over each run of `terms` ciphertexts and weights, rescaled if that is asked for.
Ciphertexts sums_of_weights(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> weights,
                            std::size_t terms, double scale, bool rescale);

// sum_of_products over each run of `terms` pairs, relinearised and then rescaled if that is asked for.
Ciphertexts sums_of_products(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b, std::size_t terms,
                             bool relinearise, bool rescale);

}  // namespace hetorch::ckks
