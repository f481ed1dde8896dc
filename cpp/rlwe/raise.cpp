#include "rlwe/raise.h"

#include <stdexcept>

#include "ring/modulus.h"

namespace hetorch::rlwe {

NttPoly raise(const NttPoly& poly, std::size_t spacing, const Context& context) {
  context.check(poly);
  const ring::RnsBasis& basis = context.basis();
  const std::size_t n = basis.n();
  if (poly.limbs() != context.data_limbs(0)) throw std::invalid_argument("only a polynomial over q_0 can be raised");
  if (spacing == 0 || n % spacing != 0) throw std::invalid_argument("the spacing of a subring divides the ring degree");
  ring::CoefficientPoly low = ring::to_coefficients(NttPoly(poly), basis);
  for (std::size_t j = 0; spacing > 1 && j < n; ++j) {
    if (j % spacing != 0) low.row(0)[j] = 0;
  }
  NttPoly result(n, context.all_limbs());
  const std::uint64_t* const lowest[] = {low.row(0)};
  ring::parallel_for(result.limbs().count(), [&](std::size_t r) {
    std::uint64_t* const row = result.row(r);
    if (r == 0) {
      std::memcpy(row, low.row(0), n * sizeof(std::uint64_t));
    } else {
      context.prime_converter(0).convert(&row, &r, 1, lowest);
    }
    basis.kernels(r).ntt_forward(row, basis.table(r));
  });
  return result;
}

std::vector<std::uint64_t> scaled_factors(const Context& context) {
  const ring::RnsBasis& basis = context.basis();
  if (basis.special_count() == 0) throw std::invalid_argument("switching keys need special primes");
  const std::size_t count = context.all_limbs().count();
  std::vector<std::uint64_t> factors(count, 1);
  for (std::size_t r = 0; r < count; ++r) {
    const std::uint64_t q = basis.prime(r);
    for (std::size_t i = basis.data_count(); i + 1 < count; ++i) {
      factors[r] = ring::multiply_mod(factors[r], basis.prime(i) % q, q);
    }
  }
  return factors;
}

}  // namespace hetorch::rlwe
