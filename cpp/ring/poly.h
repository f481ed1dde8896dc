// Polynomials of the ring in residue form (RNS). Coefficients and values under the NTT are two types.
#pragma once

#include <cstring>

#include "ring/basis.h"
#include "ring/buffer.h"
#include "ring/parallel.h"

namespace hetorch::ring {

enum class Domain { coefficient, ntt };

template <Domain D>
class RnsPoly {
 public:
  RnsPoly() = default;
  RnsPoly(std::size_t n, Limbs limbs) : n_(n), limbs_(limbs), buffer_(n * limbs.count()) {}

  std::size_t n() const { return n_; }
  const Limbs& limbs() const { return limbs_; }
  std::uint64_t* row(std::size_t r) { return buffer_.data() + r * n_; }
  const std::uint64_t* row(std::size_t r) const { return buffer_.data() + r * n_; }
  std::size_t words() const { return buffer_.size(); }
  void clear() { std::memset(buffer_.data(), 0, buffer_.size() * 8); }
  void wipe() { buffer_.wipe(); }

  // Return a copy with the residues modulo the first `data` data primes alone.
  RnsPoly prefix(std::size_t data) const {
    RnsPoly result(n_, {data, 0});
    std::memcpy(result.buffer_.data(), buffer_.data(), data * n_ * 8);
    return result;
  }

 private:
  template <Domain>
  friend class RnsPoly;
  friend RnsPoly<Domain::ntt> to_ntt(RnsPoly<Domain::coefficient>&& poly, const RnsBasis& basis);
  friend RnsPoly<Domain::coefficient> to_coefficients(RnsPoly<Domain::ntt>&& poly, const RnsBasis& basis);

  std::size_t n_ = 0;
  Limbs limbs_;
  Buffer buffer_;
};

using CoefficientPoly = RnsPoly<Domain::coefficient>;
using NttPoly = RnsPoly<Domain::ntt>;

// A secret polynomial: it is overwritten when it goes out of scope, also by an exception.
struct SecretPoly {
  explicit SecretPoly(NttPoly&& from) : poly(std::move(from)) {}
  SecretPoly(const SecretPoly&) = delete;
  SecretPoly& operator=(const SecretPoly&) = delete;
  ~SecretPoly() { poly.wipe(); }
  NttPoly poly;
};

// Transform between the domains in place: the result takes over the argument's buffer.
NttPoly to_ntt(CoefficientPoly&& poly, const RnsBasis& basis);
CoefficientPoly to_coefficients(NttPoly&& poly, const RnsBasis& basis);

// Size in words from which on threads share the rows of a polynomial in element-wise work. Smaller work stays on its
// thread: an addition does 8 to 16 words per nanosecond, and a hand-over to another thread takes microseconds.
inline constexpr std::size_t kSharedWords = std::size_t{1} << 17;

// Run body(r) for each row r of `poly`, for work that costs about one pass over its memory.
template <Domain D, class Body>
void parallel_rows(const RnsPoly<D>& poly, const Body& body) {
  const std::size_t rows = poly.limbs().count();
  if (poly.words() >= kSharedWords) {
    parallel_for(rows, body);
  } else {
    for (std::size_t r = 0; r < rows; ++r) body(r);
  }
}

// Element-wise operations: out = a + b, a - b, -a, a * b, and out + a * b. All operands have the limbs of `out`
// or, if it has no special primes, more data primes; out may be a or b.
void add(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis);
void subtract(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis);
void negate(NttPoly& out, const NttPoly& a, const RnsBasis& basis);
void multiply(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis);
void multiply_add(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis);

// out(X) = a(X^element)
NttPoly automorphism(const NttPoly& a, std::uint32_t element, const RnsBasis& basis);

}  // namespace hetorch::ring
