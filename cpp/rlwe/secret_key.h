// Key generation, secret-key encryption and decryption: the only place where the secret key exists. The server's module
// does not bind any of this.
#pragma once

#include <functional>

#include "ring/sample.h"
#include "rlwe/keys.h"

namespace hetorch::rlwe {

using ring::Bytes;

// Random bytes on demand: `length` bytes for the `index`-th piece. Every (source, index) is asked for once.
using ByteSource = std::function<ring::Buffer(std::size_t index, std::size_t length)>;

class SecretKey {
 public:
  // A dense ternary key. bytes: n * kTernaryBytes.
  SecretKey(const Context& context, Bytes bytes);
  // A key made elsewhere: n coefficients in {-1, 0, 1}; throws std::invalid_argument on any other value.
  SecretKey(const Context& context, std::span<const std::int8_t> coefficients);
  ~SecretKey() { s_.wipe(); }
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;

  // Over all primes, special ones included.
  const NttPoly& s() const { return s_; }

 private:
  NttPoly s_;
};

// The coefficients, each -1, 0 or 1, of a polynomial that has no others; anything in that range if it has. As secret as
// the key.
std::vector<std::int8_t> coefficients(const NttPoly& ternary, const Context& context);

// uniform(0, …) expands `seed` to the uniform half; error: n * kGaussianBytes. An extended key is over the special
// primes too, for encryption that ends with a division by P.
PublicKey make_public_key(const SecretKey& key, const Seed& seed, const ByteSource& uniform, Bytes error,
                          const Context& context, bool extended = false);

// Switching keys for q_0…q_level: uniform(d, …) is the expansion of `seed` for digit d, errors(d, …) fresh secret
// bytes.
SwitchingKey make_relinearisation_key(const SecretKey& key, std::size_t level, const Seed& seed,
                                      const ByteSource& uniform, const ByteSource& errors, const Context& context);
SwitchingKey make_galois_key(const SecretKey& key, std::uint32_t element, std::size_t level, const Seed& seed,
                             const ByteSource& uniform, const ByteSource& errors, const Context& context);

// message over q_0…q_level; the ciphertext carries the seed of its uniform half.
Ciphertext encrypt(const NttPoly& message, const SecretKey& key, const Seed& seed, const ByteSource& uniform,
                   Bytes error, const Context& context);

// c_0 + c_1 s [+ c_2 s^2]
NttPoly decrypt(const Ciphertext& ciphertext, const SecretKey& key, const Context& context);

}  // namespace hetorch::rlwe
