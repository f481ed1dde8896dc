#include "rlwe/public_key.h"

#include <stdexcept>

#include "rlwe/divide.h"

namespace hetorch::rlwe {
namespace {

// out += a * b over the limbs of out, where `a` is over all data primes and the special primes.
void multiply_add_rows(NttPoly& out, const NttPoly& a, const NttPoly& b, const ring::RnsBasis& basis) {
  NttPoly rows(out.n(), out.limbs());
  for (std::size_t r = 0; r < rows.limbs().count(); ++r) {
    const bool special = r >= rows.limbs().data;
    std::memcpy(rows.row(r), a.row(special ? r - rows.limbs().data + a.limbs().data : r), out.n() * 8);
  }
  ring::multiply_add(out, rows, b, basis);
}

}  // namespace

Ciphertext encrypt(const NttPoly& message, const PublicKey& key, ring::Bytes bytes, const Context& context) {
  context.check(message);
  for (const NttPoly* half : {&key.b, &key.a}) {
    context.check(*half);
    if (half->limbs().data < message.limbs().data)
      throw std::invalid_argument("the public key ends below the message's level");
  }
  const ring::RnsBasis& basis = context.basis();
  // With an extended key, zero is encrypted modulo QP and divided by P. The noise that remains is that of the rounding:
  // (1 + |s|) / sqrt(12) for each coefficient.
  const bool divided = key.b.limbs().special != 0;
  const Limbs limbs = divided ? context.main().extended_limbs(message.limbs().data - 1) : message.limbs();
  const std::size_t n = context.n();
  if (bytes.size() != n * (ring::kTernaryBytes + 2 * ring::kGaussianBytes)) {
    throw std::invalid_argument("public-key encryption takes " +
                                std::to_string(n * (ring::kTernaryBytes + 2 * ring::kGaussianBytes)) +
                                " random bytes, got " + std::to_string(bytes.size()));
  }
  const ring::SecretPoly u{to_ntt(ring::sample_ternary(bytes.first(n * ring::kTernaryBytes), limbs, basis), basis)};
  bytes = bytes.subspan(n * ring::kTernaryBytes);
  std::vector<NttPoly> parts;
  for (const NttPoly* half : {&key.b, &key.a}) {
    NttPoly part = to_ntt(ring::sample_gaussian(bytes.first(n * ring::kGaussianBytes), limbs, basis), basis);
    bytes = bytes.subspan(n * ring::kGaussianBytes);
    if (divided) {
      multiply_add_rows(part, *half, u.poly, basis);
      const NttPoly* only[] = {&part};
      parts.push_back(std::move(divide(only, special_divisor(limbs.data - 1, context.main()), basis)[0]));
    } else {
      ring::multiply_add(part, *half, u.poly, basis);
      parts.push_back(std::move(part));
    }
  }
  ring::add(parts[0], parts[0], message, basis);
  return {parts_of(std::move(parts)), std::nullopt};
}

}  // namespace hetorch::rlwe
