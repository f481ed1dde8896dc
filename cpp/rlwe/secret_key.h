// The secret key: key generation, secret-key encryption and decryption. Only the Python module _secret binds this; a
// server does not load it.
#pragma once

#include <functional>

#include "ring/sample.h"
#include "rlwe/keys.h"

namespace hetorch::rlwe {

using ring::Bytes;

// A source of random bytes: returns `length` bytes for piece `index`. No piece is requested twice.
using ByteSource = std::function<ring::Buffer(std::size_t index, std::size_t length)>;

class SecretKey {
 public:
  // Make a dense ternary key from n * kTernaryBytes random bytes.
  SecretKey(const Context& context, Bytes bytes);
  // Make the key with these n coefficients; throws std::invalid_argument unless each of them is -1, 0 or 1.
  SecretKey(const Context& context, std::span<const std::int8_t> coefficients);
  ~SecretKey() { s_.wipe(); }
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;

  // The key over all primes, the special ones included.
  const NttPoly& s() const { return s_; }

 private:
  NttPoly s_;
};

// Return the coefficients, each -1, 0 or 1, of a ternary polynomial, in constant time; for any other polynomial the
// result has no meaning. They are as secret as the key.
std::vector<std::int8_t> coefficients(const NttPoly& ternary, const Context& context);

// Make a public key. uniform(0, …): the expansion of `seed` to the half a; error: n * kGaussianBytes random bytes.
// extended: over the special primes too, for encryption that ends with a division by P.
PublicKey make_public_key(const SecretKey& key, const Seed& seed, const ByteSource& uniform, Bytes error,
                          const Context& context, bool extended = false);

// Make switching keys for q_0…q_level. uniform(d, …): the expansion of `seed` for digit d; errors(d, …): fresh secret
// random bytes.
SwitchingKey make_relinearisation_key(const SecretKey& key, std::size_t level, const Seed& seed,
                                      const ByteSource& uniform, const ByteSource& errors, const Context& context);
SwitchingKey make_galois_key(const SecretKey& key, std::uint32_t element, std::size_t level, const Seed& seed,
                             const ByteSource& uniform, const ByteSource& errors, const Context& context);

// Encrypt a message over q_0…q_level. seed: the ciphertext keeps it; uniform(0, …): its expansion to the uniform half;
// error: n * kGaussianBytes random bytes.
Ciphertext encrypt(const NttPoly& message, const SecretKey& key, const Seed& seed, const ByteSource& uniform,
                   Bytes error, const Context& context);

// Return the message with its noise: c_0 + c_1 s + c_2 s^2 + …
NttPoly decrypt(const Ciphertext& ciphertext, const SecretKey& key, const Context& context);

}  // namespace hetorch::rlwe
