// Random polynomials. The core has no random source: the caller passes the random bytes, and must use none of them
// twice. All functions here throw std::invalid_argument if the number of bytes is not the one stated.
#pragma once

#include <cstdint>
#include <span>

#include "ring/poly.h"

namespace hetorch::ring {

using Bytes = std::span<const std::uint8_t>;

// Random bytes for each coefficient: uniform polynomials need them for each prime, small ones once.
inline constexpr std::size_t kUniformBytes = 16;
inline constexpr std::size_t kTernaryBytes = 8;
inline constexpr std::size_t kGaussianBytes = 8;
// Random bytes for each nonzero coefficient of a sparse polynomial: 16 for its place, 8 for its sign.
inline constexpr std::size_t kSparseBytes = 24;

// Uniform residues: each is a 128-bit number modulo q, within 2^-68 of uniform for q < 2^60. Takes
// n * rows * kUniformBytes bytes, row by row.
NttPoly sample_uniform(Bytes bytes, Limbs limbs, const RnsBasis& basis);

// Ternary coefficients: -1, 0 or 1, each with probability 1/3 to within 2^-62, in constant time. Takes n *
// kTernaryBytes bytes.
CoefficientPoly sample_ternary(Bytes bytes, Limbs limbs, const RnsBasis& basis);

// Exactly `weight` coefficients that are -1 or 1, at multiples of `spacing`, the others 0; every such polynomial is as
// likely as any other to within weight * 2^-110. The places are drawn with the constant-time variant of Fisher and
// Yates (Sendrier, eprint 2021/1631, algorithm 3) and written by comparing every coefficient with every place, so no
// branch or index depends on them. Takes weight * kSparseBytes bytes; weight is 1 to n / spacing, and spacing divides
// n.
CoefficientPoly sample_sparse(Bytes bytes, std::size_t weight, std::size_t spacing, Limbs limbs, const RnsBasis& basis);

// Discrete Gaussian coefficients: sigma = 3.19 (Homomorphic Encryption Standard 2018; eprint 2024/463), |x| <= 29 =
// 9.1 sigma. Inverts a table of 63-bit cumulative probabilities by comparing with every entry, so the time is constant.
// Takes n * kGaussianBytes bytes.
CoefficientPoly sample_gaussian(Bytes bytes, Limbs limbs, const RnsBasis& basis);

}  // namespace hetorch::ring
