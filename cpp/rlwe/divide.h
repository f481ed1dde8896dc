// Division of polynomials by some of their own primes, rounded to the nearest: the end of a key switch, and rescaling.
#pragma once

#include <span>

#include "rlwe/extension.h"

namespace hetorch::rlwe {

// What happens to a polynomial after its division: out(X) = (quotient + addend)(X^g). Null: left out.
struct Finish {
  const NttPoly* addend = nullptr;
  const std::uint32_t* permutation = nullptr;  // of g, from RnsBasis::permutation
};

// Which rows a division takes away, and by which converter. `rows` are those of the polynomial.
struct Divisor {
  const ring::BaseConverter* converter;
  std::vector<std::size_t> rows;
  std::size_t kept;  // the data primes 0 … kept - 1 stay
};

// By P; by P and q_level; by q_level. The polynomials are over q_0…q_level [and P].
Divisor special_divisor(std::size_t level, const Context& context);
Divisor rescaling_divisor(std::size_t level, const Context& context);
Divisor last_divisor(std::size_t level, const Context& context);

// The data rows of a group from the sources' conversion, as coefficients: rows + g * n is that of group.begin + g.
void take_rows(std::uint64_t* rows, const RowGroup& group, const Extension& sources, std::size_t n);
// Row r of out = (minuend - converted) / product, then `finish`. converted: [x]_sources modulo prime r, as
// coefficients; it is overwritten.
void divide_row(NttPoly& out, std::size_t r, const std::uint64_t* minuend, std::uint64_t* converted,
                const Divisor& divisor, const Finish& finish, const Context& context);
// out rows [group] = (minuends - [x]_sources) / product, then `finish`. minuends[i] holds the row group.begin + i;
// scratch: one row for each of the group. The extension holds the sources of x.
void divide_rows(NttPoly& out, const RowGroup& group, const std::uint64_t* const* minuends, const Extension& sources,
                 const Divisor& divisor, const Finish& finish, std::uint64_t* scratch, const Context& context);

// All polynomials (of the same limbs) divided at once: one loop over the rows of all.
std::vector<NttPoly> divide(std::span<const NttPoly* const> polys, const Divisor& divisor, const Context& context);

}  // namespace hetorch::rlwe
