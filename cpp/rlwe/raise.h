// Raising the modulus of a polynomial: the first step of bootstrapping.
#pragma once

#include "rlwe/context.h"

namespace hetorch::rlwe {

// Lift a polynomial over q_0 to all primes, the special ones included: each coefficient becomes its representative in
// (-q_0/2, q_0/2), exactly. Coefficients of powers of X that are no multiples of `spacing` become zero, which leaves
// the projection to the subring of the polynomials in X^spacing. Throws std::invalid_argument unless `poly` is over q_0
// alone, and spacing divides n.
NttPoly raise(const NttPoly& poly, std::size_t spacing, const Context& context);

// P / p modulo every prime, p the last special prime: zero modulo the other special ones.
std::vector<std::uint64_t> scaled_factors(const Context& context);

}  // namespace hetorch::rlwe
