// Polynomials of a ciphertext in the Chebyshev basis.
#pragma once

#include <span>

#include "ckks/evaluator.h"

namespace hetorch::circuits {

// Return the number of levels that a polynomial of this degree takes: ceil(log2(degree + 1)).
std::size_t polynomial_depth(std::size_t degree);

// Evaluate sum_i coefficients[i] T_i(x) for slots x in [-1, 1]; degree = coefficients.size() - 1 >= 1. Takes
// polynomial_depth(degree) levels, whatever the coefficients; the result has exactly `output_scale`. Throws
// std::invalid_argument for a degree of 0 or a coefficient that is not finite, LevelError if there are too few levels
// or the values do not fit.
//
// Paterson-Stockmeyer: the series is split at T_m, m a power of two (T_{m+j} = 2 T_m T_j - T_{m-j}). The scale of each
// part follows from the scale of the result, so that the terms of a sum have exactly equal scales (Bossuat et al.,
// eprint 2020/1203, section 5). Products in one sum are relinearised and rescaled together.
ckks::Ciphertext evaluate_chebyshev(const ckks::Evaluator& evaluator, const ckks::Ciphertext& x,
                                    std::span<const double> coefficients, double output_scale);

}  // namespace hetorch::circuits
