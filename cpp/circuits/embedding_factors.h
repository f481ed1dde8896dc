// The embedding of coefficients as slots, factored into a few matrices with few diagonals each, and its inverse.
//
// The embedding of n slots (kernels/embedding.h) is a bit reversal followed by log2(n) stages. Stage l combines entries
// at a distance of l/2, l = 2, 4, …, n, so it has the diagonals 0 and ±l/2. Neighbouring stages are multiplied into one
// factor: r of them have 2^(r+1) - 1 diagonals, or 2^r if the last one is stage n, whose two distances are equal modulo
// n. The bit reversal is left out on both sides and cancels, because everything between works on each slot alone
// (Cheon, Han, Hhan, "Faster Homomorphic Discrete Fourier Transforms", eprint 2018/1073).
#pragma once

#include <complex>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace hetorch::circuits {

// A matrix by its diagonals: y[s] = sum over steps of diagonals[steps][s mod period] * x[s + steps].
struct Factor {
  std::size_t period = 1;
  std::size_t stride = 1;  // all steps are multiples of it
  std::map<std::int64_t, std::vector<std::complex<double>>> diagonals;
};

// The factors of the embedding without its bit reversal, in the order of their use; the first one has the smallest
// stride. radices: the number of stages of each factor, in that order; their sum is log2(slots). Throws
// std::invalid_argument.
std::vector<Factor> embedding_factors(std::size_t slots, std::span<const std::size_t> radices);
// The factors of the inverse, in the order of their use; the first one has the largest stride.
std::vector<Factor> inverse_factors(std::size_t slots, std::span<const std::size_t> radices);

}  // namespace hetorch::circuits
