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

// The nonzero coefficients of a sparse secret: how many there are, and the distance of the powers of X at which they
// may be. With a spacing of d the secret lies in the subring of the polynomials in X^d, whose dimension is n / d.
struct SparseShape {
  std::size_t weight;
  std::size_t spacing = 1;
};

class SecretKey {
 public:
  // Make a dense ternary key from n * kTernaryBytes random bytes.
  SecretKey(const Context& context, Bytes bytes);
  // Make the key with these n coefficients; throws std::invalid_argument unless each of them is -1, 0 or 1.
  SecretKey(const Context& context, std::span<const std::int8_t> coefficients);
  // Make a sparse key from weight * kSparseBytes random bytes. Only a modulus of about two primes keeps such a key
  // safe, so make_switching_key refuses larger ones, and public keys, relinearisation keys and encryption refuse it.
  SecretKey(const Context& context, Bytes bytes, SparseShape shape);
  ~SecretKey() { s_.wipe(); }
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;

  // The key over all primes, the special ones included.
  const NttPoly& s() const { return s_; }
  bool sparse() const { return sparse_; }

 private:
  NttPoly s_;
  bool sparse_ = false;
};

// Return the coefficients, each -1, 0 or 1, of a ternary polynomial, in constant time; for any other polynomial the
// result has no meaning. They are as secret as the key.
std::vector<std::int8_t> coefficients(const NttPoly& ternary, const Context& context);

// Make a public key. uniform(0, …): the expansion of `seed` to the half a; error: n * kGaussianBytes random bytes.
// extended: over the special primes too, for encryption that ends with a division by P.
PublicKey make_public_key(const SecretKey& key, const Seed& seed, const ByteSource& uniform, Bytes error,
                          const Context& context, bool extended = false);

// Make a switching key of this family (one of the context's) for q_0…q_level. uniform(d, …): the expansion of `seed`
// for digit d; errors(d, …): fresh secret random bytes.
SwitchingKey make_relinearisation_key(const SecretKey& key, std::size_t level, const Seed& seed,
                                      const ByteSource& uniform, const ByteSource& errors, const Context& context,
                                      const KeyFamily& family);
// The key from the secret `from` to g^-1(`to`), g = element; a Galois key if both are one secret. Throws
// std::invalid_argument if `to` is sparse and the key would be over more than q_0 and one special prime.
SwitchingKey make_switching_key(const SecretKey& from, const SecretKey& to, std::uint32_t element, std::size_t level,
                                const Seed& seed, const ByteSource& uniform, const ByteSource& errors,
                                const Context& context, const KeyFamily& family);

// Make the key of one digit from sparse / p to g^-1(dense), p the last special prime, over all primes: a pair (b, a)
// with b + a g^-1(dense) = e + P / p sparse. A product with a polynomial c that is small against Q switches P / p c
// sparse, and a plaintext at the scale p makes P c sparse of it. family: with all special primes, and all data primes
// in a digit.
SwitchingKey make_scaled_key(const SecretKey& sparse, const SecretKey& dense, std::uint32_t element, const Seed& seed,
                             const ByteSource& uniform, const ByteSource& errors, const Context& context,
                             const KeyFamily& family);

// Encrypt a message over q_0…q_level. seed: the ciphertext keeps it; uniform(0, …): its expansion to the uniform half;
// error: n * kGaussianBytes random bytes.
Ciphertext encrypt(const NttPoly& message, const SecretKey& key, const Seed& seed, const ByteSource& uniform,
                   Bytes error, const Context& context);

// Return the message with its noise: c_0 + c_1 s + c_2 s^2 + …
NttPoly decrypt(const Ciphertext& ciphertext, const SecretKey& key, const Context& context);

}  // namespace hetorch::rlwe
