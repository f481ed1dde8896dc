#include "rlwe/secret_key.h"

#include <stdexcept>

#include "ring/modulus.h"
#include "rlwe/raise.h"

namespace hetorch::rlwe {
namespace {

using ring::kGaussianBytes;
using ring::kUniformBytes;
using ring::RnsBasis;
using ring::u64;

Bytes bytes_of(const ring::Buffer& words) {
  return {reinterpret_cast<const std::uint8_t*>(words.data()), words.size() * sizeof(u64)};
}

NttPoly uniform_poly(const ByteSource& source, std::size_t index, Limbs limbs, const RnsBasis& basis) {
  const ring::Buffer drawn = source(index, basis.n() * limbs.count() * kUniformBytes);
  return ring::sample_uniform(bytes_of(drawn), limbs, basis);
}

// The rows of `from` (over all primes) that belong to `limbs`.
NttPoly restrict_to(const NttPoly& from, Limbs limbs, const RnsBasis& basis) {
  NttPoly result(basis.n(), limbs);
  for (std::size_t r = 0; r < limbs.count(); ++r) {
    std::memcpy(result.row(r), from.row(basis.index(limbs, r)), basis.n() * 8);
  }
  return result;
}

// Return error - a * s, the first half of an encryption of zero.
NttPoly mask(const NttPoly& a, const NttPoly& s, NttPoly&& error, const RnsBasis& basis) {
  ring::SecretPoly product{NttPoly(basis.n(), a.limbs())};
  ring::multiply(product.poly, a, s, basis);
  ring::subtract(error, error, product.poly, basis);
  return std::move(error);
}

// a(X^(element^-1)). The group of odd residues modulo 2N has order N, so the inverse is element^(N-1).
NttPoly inverse_automorphism(const NttPoly& a, std::uint32_t element, const RnsBasis& basis) {
  const std::uint64_t mask_2n = 2 * basis.n() - 1;
  std::uint64_t inverse = 1;
  for (std::uint64_t power = element, exponent = basis.n() - 1; exponent; exponent >>= 1) {
    if (exponent & 1) inverse = inverse * power & mask_2n;
    power = power * power & mask_2n;
  }
  return ring::automorphism(a, static_cast<std::uint32_t>(inverse), basis);
}

void check_key(const SecretKey& key, const Context& context) {
  if (key.s().n() != context.n() || key.s().limbs() != context.all_limbs()) {
    throw std::invalid_argument("the secret key was made under other parameters");
  }
}

// Refuse a sparse secret where it would be under more than q_0 and one special prime.
void check_dense(const SecretKey& key, const Context& context) {
  check_key(key, context);
  if (key.sparse())
    throw std::invalid_argument("a sparse secret encrypts nothing: it is for the switching keys of bootstrapping");
}

SwitchingKey make_key(const NttPoly& from, const NttPoly& to, std::size_t level, const Seed& seed,
                      const ByteSource& uniform, const ByteSource& errors, const KeyFamily& family) {
  const RnsBasis& basis = family.basis();
  if (family.shape().special_count == 0) throw std::invalid_argument("switching keys need special primes");
  if (level > family.max_level()) throw std::invalid_argument("the key's level is above the chain");
  const Limbs limbs = family.extended_limbs(level);
  SwitchingKey key(level, family);
  key.seed = seed;
  const ring::SecretPoly target{restrict_to(to, limbs, basis)};
  for (std::size_t d = 0; d < family.digit_count(level); ++d) {
    NttPoly a = uniform_poly(uniform, d, limbs, basis);
    ring::Buffer error = errors(d, basis.n() * kGaussianBytes);
    NttPoly b = mask(a, target.poly, to_ntt(ring::sample_gaussian(bytes_of(error), limbs, basis), basis), basis);
    // Add P T_d s_from, which is zero modulo all primes but those of the digit.
    for (std::size_t r = family.digit_begin(d); r < family.digit_end(d, level); ++r) {
      const kernels::ModulusConstants& m = basis.modulus(r);
      ring::Buffer scaled(basis.n());
      basis.kernels(r).multiply_scalar(scaled.data(), from.row(r), family.special_converter().product(r), basis.n(), m);
      basis.kernels(r).add(b.row(r), b.row(r), scaled.data(), basis.n(), m);
      scaled.wipe();
    }
    key.set(d, b, a);
    error.wipe();
  }
  return key;
}

}  // namespace

SecretKey::SecretKey(const Context& context, Bytes bytes) {
  const Limbs all = context.all_limbs();
  s_ = to_ntt(ring::sample_ternary(bytes, all, context.basis()), context.basis());
}

SecretKey::SecretKey(const Context& context, std::span<const std::int8_t> coefficients) {
  const Limbs all = context.all_limbs();
  if (coefficients.size() != context.n())
    throw std::invalid_argument("a secret key has one coefficient for each power");
  std::uint8_t outside = 0;
  for (std::int8_t c : coefficients)
    outside |= static_cast<std::uint8_t>((c + 1) & ~3) | static_cast<std::uint8_t>(c == 2);
  if (outside != 0) throw std::invalid_argument("a secret key's coefficients are -1, 0 or 1");
  ring::CoefficientPoly poly(context.n(), all);
  for (std::size_t r = 0; r < all.count(); ++r) {
    const u64 q = context.basis().prime(context.basis().index(all, r));
    for (std::size_t j = 0; j < context.n(); ++j) {
      const u64 value = static_cast<u64>(static_cast<std::int64_t>(coefficients[j]));
      poly.row(r)[j] = value + (q & (0 - (value >> 63)));
    }
  }
  s_ = to_ntt(std::move(poly), context.basis());
}

SecretKey::SecretKey(const Context& context, Bytes bytes, SparseShape shape) : sparse_(true) {
  s_ = to_ntt(ring::sample_sparse(bytes, shape.weight, shape.spacing, context.all_limbs(), context.basis()),
              context.basis());
}

std::vector<std::int8_t> coefficients(const NttPoly& ternary, const Context& context) {
  context.check(ternary);
  // The row of the first prime suffices. 0, 1 and q - 1 (even) become 0, 1 and -1 without a branch.
  ring::CoefficientPoly poly = to_coefficients(ternary.prefix(1), context.basis());
  const u64 half = context.basis().prime(0) / 2;
  std::vector<std::int8_t> result(context.n());
  for (std::size_t j = 0; j < context.n(); ++j) {
    const u64 value = poly.row(0)[j];
    result[j] = static_cast<std::int8_t>((value & 1) - ((half - value) >> 63));
  }
  poly.wipe();
  return result;
}

PublicKey make_public_key(const SecretKey& key, const Seed& seed, const ByteSource& uniform, Bytes error,
                          const Context& context, bool extended) {
  check_dense(key, context);
  const RnsBasis& basis = context.basis();
  const std::size_t top = context.max_level();
  const Limbs limbs = extended ? context.all_limbs() : context.data_limbs(top);
  PublicKey result;
  result.seed = seed;
  result.a = uniform_poly(uniform, 0, limbs, basis);
  result.b = mask(result.a, key.s(), to_ntt(ring::sample_gaussian(error, limbs, basis), basis), basis);
  return result;
}

SwitchingKey make_relinearisation_key(const SecretKey& key, std::size_t level, const Seed& seed,
                                      const ByteSource& uniform, const ByteSource& errors, const Context& context,
                                      const KeyFamily& family) {
  check_dense(key, context);
  ring::SecretPoly square{NttPoly(context.n(), key.s().limbs())};
  ring::multiply(square.poly, key.s(), key.s(), context.basis());
  return make_key(square.poly, key.s(), level, seed, uniform, errors, family);
}

SwitchingKey make_switching_key(const SecretKey& from, const SecretKey& to, std::uint32_t element, std::size_t level,
                                const Seed& seed, const ByteSource& uniform, const ByteSource& errors,
                                const Context& context, const KeyFamily& family) {
  check_key(from, context);
  check_key(to, context);
  if (to.sparse() && (level != 0 || family.shape().special_count != 1)) {
    throw std::invalid_argument("a key under a sparse secret may have no more than q_0 and one special prime");
  }
  const ring::SecretPoly rotated{inverse_automorphism(to.s(), element, context.basis())};
  return make_key(from.s(), rotated.poly, level, seed, uniform, errors, family);
}

SwitchingKey make_scaled_key(const SecretKey& sparse, const SecretKey& dense, std::uint32_t element, const Seed& seed,
                             const ByteSource& uniform, const ByteSource& errors, const Context& context,
                             const KeyFamily& family) {
  check_key(sparse, context);
  check_key(dense, context);
  if (dense.sparse()) throw std::invalid_argument("a key over all primes needs a dense secret");
  const RnsBasis& basis = context.basis();
  const Limbs limbs = context.all_limbs();
  if (family.extended_limbs(context.max_level()) != limbs || family.digit_count(context.max_level()) != 1) {
    throw std::invalid_argument("a key of one digit is over all primes");
  }
  const std::vector<u64> factors = scaled_factors(context);
  SwitchingKey key(context.max_level(), family);
  key.seed = seed;
  const ring::SecretPoly target{inverse_automorphism(dense.s(), element, basis)};
  NttPoly a = uniform_poly(uniform, 0, limbs, basis);
  ring::Buffer error = errors(0, basis.n() * kGaussianBytes);
  NttPoly b = mask(a, target.poly, to_ntt(ring::sample_gaussian(bytes_of(error), limbs, basis), basis), basis);
  error.wipe();
  ring::Buffer scaled(basis.n());
  for (std::size_t r = 0; r < limbs.count(); ++r) {
    const kernels::ModulusConstants& m = basis.modulus(r);
    basis.kernels(r).multiply_scalar(scaled.data(), sparse.s().row(r), factors[r], basis.n(), m);
    basis.kernels(r).add(b.row(r), b.row(r), scaled.data(), basis.n(), m);
  }
  scaled.wipe();
  key.set(0, b, a);
  return key;
}

Ciphertext encrypt(const NttPoly& message, const SecretKey& key, const Seed& seed, const ByteSource& uniform,
                   Bytes error, const Context& context) {
  context.check(message);
  check_dense(key, context);
  const RnsBasis& basis = context.basis();
  const Limbs limbs = message.limbs();
  Ciphertext result;
  result.seed = seed;
  NttPoly a = uniform_poly(uniform, 0, limbs, basis);
  NttPoly c0 = mask(a, key.s(), to_ntt(ring::sample_gaussian(error, limbs, basis), basis), basis);
  ring::add(c0, c0, message, basis);
  result.parts.push_back(std::move(c0));
  result.parts.push_back(std::move(a));
  return result;
}

NttPoly decrypt(const Ciphertext& ciphertext, const SecretKey& key, const Context& context) {
  for (const NttPoly& part : ciphertext.parts) context.check(part);
  check_key(key, context);
  const RnsBasis& basis = context.basis();
  // Horner's rule in s; the first data rows of s are those of the ciphertext's primes.
  NttPoly result = *ciphertext.parts.back();
  for (std::size_t i = ciphertext.parts.size() - 1; i-- > 0;) {
    ring::multiply(result, result, key.s(), basis);
    ring::add(result, result, ciphertext.parts[i], basis);
  }
  return result;
}

}  // namespace hetorch::rlwe
