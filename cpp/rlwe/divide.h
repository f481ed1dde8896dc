// Division of polynomials by some of their own primes, rounded to the nearest: the end of a key switch (mod-down), and
// rescaling.
#pragma once

#include <span>

#include "rlwe/context.h"
#include "rlwe/extension.h"

namespace hetorch::rlwe {

// The last steps after a division: out(X) = (quotient + addend)(X^g). A null pointer leaves out its step.
struct Finish {
  const NttPoly* addend = nullptr;
  const std::uint32_t* permutation = nullptr;  // the automorphism by g, from RnsBasis::permutation
};

// A product of primes to divide by.
struct Divisor {
  const ring::BaseConverter* converter;  // from the primes of the divisor
  std::vector<std::size_t> rows;         // their rows in the polynomial, in the converter's order; these are dropped
  std::size_t kept;                      // the data primes 0 … kept - 1 remain
};

// The divisor P, of polynomials over q_0…q_level and P.
Divisor special_divisor(std::size_t level, const KeyFamily& family);
// The divisor P q_level, of polynomials over q_0…q_level and P.
Divisor rescaling_divisor(std::size_t level, const KeyFamily& family);
// The divisor q_level, of polynomials over q_0…q_level.
Divisor last_divisor(std::size_t level, const Context& context);

// rows + g * n = row group.begin + g of the converted sources, as coefficients.
void take_rows(std::uint64_t* rows, const RowGroup& group, const Extension& sources, std::size_t n);
// Row r of out = (minuend - converted) / divisor, followed by `finish`. converted: the residues of x modulo the
// divisor, converted to prime r, as coefficients; they are overwritten.
void divide_row(NttPoly& out, std::size_t r, const std::uint64_t* minuend, std::uint64_t* converted,
                const Divisor& divisor, const Finish& finish, const ring::RnsBasis& basis);
// The same for all rows of a group. minuends[g]: row group.begin + g of x; sources: the residues of x modulo the
// divisor; scratch: room for one row for each row of the group.
void divide_rows(NttPoly& out, const RowGroup& group, const std::uint64_t* const* minuends, const Extension& sources,
                 const Divisor& divisor, const Finish& finish, std::uint64_t* scratch, const ring::RnsBasis& basis);

// Divide several polynomials with the same limbs in one parallel loop over the rows of all.
std::vector<NttPoly> divide(std::span<const NttPoly* const> polys, const Divisor& divisor, const ring::RnsBasis& basis);

}  // namespace hetorch::rlwe
