// Ciphertexts and plaintexts with their exact scales.
#pragma once

#include "rlwe/keys.h"

namespace hetorch::ckks {

// Wiped when freed: what decryption makes is the message and an error, and these with the ciphertext give the key.
struct Plaintext {
  Plaintext(ring::NttPoly element, double element_scale) : poly(std::move(element)), scale(element_scale) {}
  Plaintext(const Plaintext&) = default;
  Plaintext(Plaintext&&) = default;
  Plaintext& operator=(const Plaintext&) = default;
  Plaintext& operator=(Plaintext&&) = default;
  ~Plaintext() { poly.wipe(); }

  ring::NttPoly poly;
  double scale;

  std::size_t level() const { return poly.limbs().data - 1; }
};

// Of a product that was never relinearised; SEAL's own limit (util/defines.h, SEAL_CIPHERTEXT_SIZE_MAX).
inline constexpr std::size_t kMostParts = 16;

struct Ciphertext {
  rlwe::Ciphertext body;
  double scale = 1;

  std::size_t level() const { return body.level(); }
  std::size_t size() const { return body.parts.size(); }
};

}  // namespace hetorch::ckks
