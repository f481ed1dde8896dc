// Plaintexts and ciphertexts with their exact scales.
#pragma once

#include "rlwe/keys.h"

namespace hetorch::ckks {

// An encoded message. It is wiped when freed: decryption returns the message with its noise, which together with the
// ciphertext reveals the key.
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

// Largest number of parts of a ciphertext, after products without relinearisation; it equals SEAL's limit
// (SEAL_CIPHERTEXT_SIZE_MAX in util/defines.h).
inline constexpr std::size_t kMostParts = 16;

// An RLWE ciphertext whose message is the encoding of the slots at `scale`.
struct Ciphertext {
  rlwe::Ciphertext body;
  double scale = 1;

  std::size_t level() const { return body.level(); }
  std::size_t size() const { return body.parts.size(); }
};

}  // namespace hetorch::ckks
