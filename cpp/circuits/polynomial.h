// Polynomials of a ciphertext in the Chebyshev basis.
#pragma once

#include <span>

#include "ckks/evaluator.h"

namespace hetorch::circuits {

// ceil(log2(degree + 1))
std::size_t polynomial_depth(std::size_t degree);

// sum_i coefficients[i] T_i(x) for slots x in [-1, 1]. Paterson-Stockmeyer by splitting at T_m, m a power of two
// (T_{m+j} = 2 T_m T_j - T_{m-j}), with the target scale handed down so that every sum meets its scale exactly
// (Bossuat et al., eprint 2020/1203, section 5). Products that meet in a sum are relinearised and rescaled as one. Uses
// polynomial_depth(degree) levels; the result has exactly `output_scale`. degree = coefficients.size() - 1 >= 1;
// coefficients finite. LevelError when levels are missing.
ckks::Ciphertext evaluate_chebyshev(const ckks::Evaluator& evaluator, const ckks::Ciphertext& x,
                                    std::span<const double> coefficients, double output_scale);

}  // namespace hetorch::circuits
