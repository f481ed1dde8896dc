// A polynomial of the ring in residue form; its domain is part of its type.
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

  // The same polynomial with only the first `data` data primes and no special ones (a copy).
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

// A polynomial that is overwritten when it goes out of scope, by an exception too: for secrets.
struct SecretPoly {
  explicit SecretPoly(NttPoly&& from) : poly(std::move(from)) {}
  SecretPoly(const SecretPoly&) = delete;
  SecretPoly& operator=(const SecretPoly&) = delete;
  ~SecretPoly() { poly.wipe(); }
  NttPoly poly;
};

// In place: the argument gives its buffer away.
NttPoly to_ntt(CoefficientPoly&& poly, const RnsBasis& basis);
CoefficientPoly to_coefficients(NttPoly&& poly, const RnsBasis& basis);

// Words of a polynomial from which on its rows are shared by the threads in element-wise work. Below, the work is done
// when the other thread has hardly begun: an addition does 8 to 16 words a nanosecond, a hand-over takes microseconds.
inline constexpr std::size_t kSharedWords = std::size_t{1} << 17;

// body(r) for each row of `poly`, for work of about one pass over its memory.
template <Domain D, class Body>
void parallel_rows(const RnsPoly<D>& poly, const Body& body) {
  const std::size_t rows = poly.limbs().count();
  if (poly.words() >= kSharedWords) {
    parallel_for(rows, body);
  } else {
    for (std::size_t r = 0; r < rows; ++r) body(r);
  }
}

// out = a op b, row by row; all of the same limbs; out may be a or b.
void add(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis);
void subtract(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis);
void negate(NttPoly& out, const NttPoly& a, const RnsBasis& basis);
void multiply(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis);
void multiply_add(NttPoly& out, const NttPoly& a, const NttPoly& b, const RnsBasis& basis);

// out(X) = a(X^element)
NttPoly automorphism(const NttPoly& a, std::uint32_t element, const RnsBasis& basis);

}  // namespace hetorch::ring
