#include "rlwe/public_key.h"

#include <stdexcept>

namespace hetorch::rlwe {

Ciphertext encrypt(const NttPoly& message, const PublicKey& key, ring::Bytes bytes, const Context& context) {
  context.check(message);
  for (const NttPoly* half : {&key.b, &key.a}) {
    context.check(*half);
    if (half->limbs().data < message.limbs().data)
      throw std::invalid_argument("the public key ends below the message's level");
  }
  const ring::RnsBasis& basis = context.basis();
  const Limbs limbs = message.limbs();
  const std::size_t n = context.n();
  if (bytes.size() != n * (ring::kTernaryBytes + 2 * ring::kGaussianBytes)) {
    throw std::invalid_argument("public-key encryption takes " +
                                std::to_string(n * (ring::kTernaryBytes + 2 * ring::kGaussianBytes)) +
                                " random bytes, got " + std::to_string(bytes.size()));
  }
  const ring::SecretPoly u{to_ntt(ring::sample_ternary(bytes.first(n * ring::kTernaryBytes), limbs, basis), basis)};
  bytes = bytes.subspan(n * ring::kTernaryBytes);
  Ciphertext result;
  for (const NttPoly* half : {&key.b, &key.a}) {
    NttPoly part = to_ntt(ring::sample_gaussian(bytes.first(n * ring::kGaussianBytes), limbs, basis), basis);
    bytes = bytes.subspan(n * ring::kGaussianBytes);
    ring::multiply_add(part, *half, u.poly, basis);
    result.parts.push_back(std::move(part));
  }
  ring::add(result.parts[0], result.parts[0], message, basis);
  return result;
}

}  // namespace hetorch::rlwe
