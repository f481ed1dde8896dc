#include "ring/poly.h"

namespace hetorch::ring {
namespace {

using kernels::Kernels;
using kernels::ModulusConstants;

// Run body(r, kernels, constants) for each row r, with the kernels and constants of its prime.
template <class Poly, class Body>
void for_rows(const Poly& poly, const RnsBasis& basis, const Body& body) {
  parallel_rows(poly, [&](std::size_t r) {
    const std::size_t index = basis.index(poly.limbs(), r);
    body(r, basis.kernels(index), basis.modulus(index));
  });
}

}  // namespace

NttPoly to_ntt(CoefficientPoly&& poly, const RnsBasis& basis) {
  NttPoly result;
  result.n_ = poly.n_;
  result.limbs_ = poly.limbs_;
  result.buffer_ = std::move(poly.buffer_);
  parallel_for(result.limbs_.count(), [&](std::size_t r) {
    const std::size_t index = basis.index(result.limbs_, r);
    basis.kernels(index).ntt_forward(result.row(r), basis.table(index));
  });
  return result;
}

CoefficientPoly to_coefficients(NttPoly&& poly, const RnsBasis& basis) {
  CoefficientPoly result;
  result.n_ = poly.n_;
  result.limbs_ = poly.limbs_;
  result.buffer_ = std::move(poly.buffer_);
  parallel_for(result.limbs_.count(), [&](std::size_t r) {
    const std::size_t index = basis.index(result.limbs_, r);
    basis.kernels(index).ntt_inverse(result.row(r), basis.table(index));
  });
  return result;
}

void add(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis) {
  for_rows(out, basis, [&](std::size_t r, const Kernels& k, const ModulusConstants& m) {
    k.add(out.row(r), a.row(r), b.row(r), out.n(), m);
  });
}

void subtract(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis) {
  for_rows(out, basis, [&](std::size_t r, const Kernels& k, const ModulusConstants& m) {
    k.subtract(out.row(r), a.row(r), b.row(r), out.n(), m);
  });
}

void negate(NttPoly& out, const NttPoly& a, const RnsBasis& basis) {
  for_rows(out, basis, [&](std::size_t r, const Kernels& k, const ModulusConstants& m) {
    k.negate(out.row(r), a.row(r), out.n(), m);
  });
}

void multiply(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis) {
  for_rows(out, basis, [&](std::size_t r, const Kernels& k, const ModulusConstants& m) {
    k.multiply(out.row(r), a.row(r), b.row(r), out.n(), m);
  });
}

void multiply_add(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis) {
  for_rows(out, basis, [&](std::size_t r, const Kernels& k, const ModulusConstants& m) {
    k.multiply_add(out.row(r), a.row(r), b.row(r), out.n(), m);
  });
}

NttPoly automorphism(const NttPoly& a, std::uint32_t element, const RnsBasis& basis) {
  NttPoly result(a.n(), a.limbs());
  const std::uint32_t* index = basis.permutation(element);
  parallel_rows(a, [&](std::size_t r) {
    basis.kernels(basis.index(a.limbs(), r)).permute(result.row(r), a.row(r), index, a.n());
  });
  return result;
}

}  // namespace hetorch::ring
