// Polynomials from given random bytes. The core has no random source: who calls hands in the bytes, all of them used
// once.
#pragma once

#include <cstdint>
#include <span>

#include "ring/poly.h"

namespace hetorch::ring {

using Bytes = std::span<const std::uint8_t>;

// Bytes taken for each coefficient: uniform residues need them for each prime apart, small polynomials once.
inline constexpr std::size_t kUniformBytes = 16;
inline constexpr std::size_t kTernaryBytes = 8;
inline constexpr std::size_t kGaussianBytes = 8;

// Each residue is a 128-bit number modulo q: within 2^-68 of uniform for q < 2^60. The order of bytes is row by row.
// Size: n * rows * kUniformBytes. All functions here throw std::invalid_argument when the size is not right.
NttPoly sample_uniform(Bytes bytes, Limbs limbs, const RnsBasis& basis);

// Coefficients in {-1, 0, 1}, each with probability 1/3 to within 2^-62. Size: n * kTernaryBytes. In constant time.
CoefficientPoly sample_ternary(Bytes bytes, Limbs limbs, const RnsBasis& basis);

// Discrete Gaussian, sigma = 3.19 (Homomorphic Encryption Standard 2018; eprint 2024/463), |x| <= 29 = 9.1 sigma, by
// inversion of a table of 63-bit cumulative probabilities; every entry is compared, so the time is constant.
// Size: n * kGaussianBytes.
CoefficientPoly sample_gaussian(Bytes bytes, Limbs limbs, const RnsBasis& basis);

}  // namespace hetorch::ring
