// A key holder and an evaluator in one process, for the tests of the core. Random bytes come from a fixed stream: the
// same in every run, and without any security.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <string>
#include <vector>

#include "check.h"
#include "ckks/errors.h"
#include "ckks/evaluator.h"
#include "residues.h"
#include "rlwe/public_key.h"
#include "rlwe/secret_key.h"

namespace session {

namespace ckks = hetorch::ckks;
namespace ring = hetorch::ring;
namespace rlwe = hetorch::rlwe;
using residues::Stream;
using residues::u64;
using Values = std::vector<ckks::Complex>;

// Return piece `index` of the stream named `tag`.
inline std::vector<std::uint8_t> bytes_of(u64 tag, std::size_t index, std::size_t length) {
  Stream stream(Stream(tag).next() + Stream(~u64{index}).next());
  std::vector<std::uint8_t> bytes(length);
  for (std::size_t i = 0; i < length; i += 8) {
    const u64 word = stream.next();
    for (std::size_t k = i; k < std::min(length, i + 8); ++k)
      bytes[k] = static_cast<std::uint8_t>(word >> (8 * (k - i)));
  }
  return bytes;
}

inline rlwe::Seed seed_of(u64 tag) {
  rlwe::Seed seed;
  const std::vector<std::uint8_t> bytes = bytes_of(tag, 0, seed.size());
  std::copy(bytes.begin(), bytes.end(), seed.begin());
  return seed;
}

// The uniform expansion of a seed; the counterpart of hetorch.engine.uniform.
inline std::vector<std::uint8_t> expand(const rlwe::Seed& seed, std::size_t index, std::size_t length) {
  u64 tag = 0;
  for (std::uint8_t byte : seed) tag = 257 * tag + byte;
  return bytes_of(tag, index, length);
}

inline ring::Buffer words_of(const std::vector<std::uint8_t>& bytes) {
  ring::Buffer words(bytes.size() / sizeof(u64));
  std::memcpy(words.data(), bytes.data(), bytes.size());
  return words;
}

inline rlwe::ByteSource uniform_of(const rlwe::Seed& seed) {
  return [seed](std::size_t index, std::size_t length) { return words_of(expand(seed, index, length)); };
}

inline rlwe::ByteSource source_of(u64 tag) {
  return [tag](std::size_t index, std::size_t length) { return words_of(bytes_of(tag, index, length)); };
}

// The parameters of a context. The primes are the largest ones below 2^bits, first the `special` special ones and then
// the `data` primes of the chain, so that P is at least as large as every digit if special >= digit_size.
struct Shape {
  std::size_t n;
  int bits;
  std::size_t data;
  std::size_t special;
  std::size_t digit_size;
  int wide = 0;                          // width in bits of q_0 and of the special primes, if it differs
  std::vector<rlwe::KeyShape> others{};  // further families of keys

  std::string describe() const {
    return "n=" + std::to_string(n) + " bits=" + std::to_string(bits) + " data=" + std::to_string(data) +
           " special=" + std::to_string(special) + " digit_size=" + std::to_string(digit_size) +
           (wide ? " wide=" + std::to_string(wide) : "");
  }
  std::vector<u64> chain() const {
    if (!wide) return below(bits, special, data);
    std::vector<u64> result = below(wide, special, 1);
    for (u64 q : below(bits, 0, data - 1)) result.push_back(q);
    return result;
  }
  std::vector<u64> special_primes() const { return below(wide ? wide : bits, 0, special); }
  // Return the `count` largest primes below 2^size after skipping the `skip` largest.
  std::vector<u64> below(int size, std::size_t skip, std::size_t count) const {
    std::vector<u64> result;
    u64 bound = u64{1} << size;
    for (std::size_t i = 0; i < skip + count; ++i) {
      bound = residues::prime_below(bound, n);
      if (i >= skip) result.push_back(bound);
    }
    return result;
  }
  // A scale at which the product of two values of about 1 fits two primes.
  double scale() const { return std::ldexp(1.0, bits - 10); }
};

class Session {
 public:
  explicit Session(const Shape& shape, u64 tag = 1)
      : context(shape.n, shape.chain(), shape.special_primes(), shape.digit_size, 5, shape.others),
        key(context.rlwe(), bytes_of(tag, 0, shape.n * ring::kTernaryBytes)),
        shape_(shape),
        tag_(1000 * tag) {}

  ckks::Context context;
  rlwe::SecretKey key;
  rlwe::EvaluationKeys keys;

  std::size_t slot_count() const { return context.encoder().slot_count(); }
  ckks::Evaluator evaluator() const { return {context, &keys}; }

  // Return random slots with real and imaginary parts in [-1, 1].
  Values values() {
    Stream stream(next_tag());
    auto draw = [&] { return std::ldexp(static_cast<double>(stream.below(u64{1} << 53)), -52) - 1; };
    Values result(slot_count());
    for (ckks::Complex& v : result) v = {draw(), draw()};
    return result;
  }

  ckks::Plaintext encode(const Values& values, std::size_t level, double scale) const {
    return {context.encoder().encode(values, scale, {level + 1, 0}), scale};
  }

  ckks::Ciphertext encrypt(const Values& values, std::size_t level, double scale) {
    const rlwe::Seed seed = seed_of(next_tag());
    const ckks::Plaintext message = encode(values, level, scale);
    return {rlwe::encrypt(message.poly, key, seed, uniform_of(seed), error_bytes(), context.rlwe()), scale};
  }

  Values decrypt(const ckks::Ciphertext& ciphertext) const {
    return context.encoder().decode(rlwe::decrypt(ciphertext.body, key, context.rlwe()), ciphertext.scale);
  }

  rlwe::PublicKey public_key() {
    const rlwe::Seed seed = seed_of(next_tag());
    return rlwe::make_public_key(key, seed, uniform_of(seed), error_bytes(), context.rlwe());
  }

  void make_relinearisation_key(std::size_t level) {
    const rlwe::Seed seed = seed_of(next_tag());
    keys.add(rlwe::kRelinearisation,
             std::make_shared<rlwe::SwitchingKey>(rlwe::make_relinearisation_key(
                 key, level, seed, uniform_of(seed), source_of(next_tag()), context.rlwe(), context.rlwe().main())));
  }

  void make_galois_key(std::uint32_t element, std::size_t level) {
    make_galois_key(element, level, context.rlwe().main());
  }

  void make_galois_key(std::uint32_t element, std::size_t level, const rlwe::KeyFamily& family) {
    const rlwe::Seed seed = seed_of(next_tag());
    keys.add(rlwe::galois_name(element),
             std::make_shared<rlwe::SwitchingKey>(rlwe::make_switching_key(
                 key, key, element, level, seed, uniform_of(seed), source_of(next_tag()), context.rlwe(), family)));
  }

  void make_rotation_key(std::int64_t steps, std::size_t level) {
    make_galois_key(evaluator().galois_element(steps), level);
  }

  // Error bound of a fresh encryption: ten standard deviations of a slot. A coefficient has the error sigma = 3.19 and
  // a rounding.
  double fresh_bound(double scale) const { return 10 * slot_factor() * std::sqrt(3.19 * 3.19 + 1.0 / 12) / scale; }

  // Error bound after one more key switch at `level`. It adds, for each digit, a sum of N products of uniform
  // coefficients below Q_d <= P with errors, over P; and the rounding of a division, (1 + ||s||^2) / 12 with ||s||^2
  // about 2N/3.
  double switched_bound(std::size_t level, double scale) const {
    return switched_bound(level, scale, context.rlwe().main());
  }

  double switched_bound(std::size_t level, double scale, const rlwe::KeyFamily& family) const {
    const double n = static_cast<double>(shape_.n);
    const double digits = static_cast<double>(family.digit_count(level));
    const double variance = 3.19 * 3.19 + digits * n / 12 * 3.19 * 3.19 + (2 + 2 * n / 3) / 12;
    return 10 * slot_factor() * std::sqrt(variance) / scale;
  }

 private:
  u64 next_tag() { return ++tag_; }
  std::vector<std::uint8_t> error_bytes() { return bytes_of(next_tag(), 0, shape_.n * ring::kGaussianBytes); }
  // A slot is a sum of N coefficients times roots of unity.
  double slot_factor() const { return std::sqrt(static_cast<double>(shape_.n)); }

  Shape shape_;
  u64 tag_;
};

// Return the largest |a_j - b_j|; infinity if the sizes differ.
inline double distance(const Values& a, const Values& b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t j = 0; j < std::min(a.size(), b.size()); ++j) largest = std::fmax(largest, std::abs(a[j] - b[j]));
  return largest;
}

inline bool same_bits(const ring::NttPoly& a, const ring::NttPoly& b) {
  return a.limbs() == b.limbs() && a.words() == b.words() && std::equal(a.row(0), a.row(0) + a.words(), b.row(0));
}

inline bool same_bits(const ckks::Ciphertext& a, const ckks::Ciphertext& b) {
  if (a.scale != b.scale || a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!same_bits(a.body.parts[i], b.body.parts[i])) return false;
  }
  return true;
}

// True if f() throws an E.
template <class E, class F>
bool throws(const F& f) {
  try {
    f();
  } catch (const E&) {
    return true;
  }
  return false;
}

}  // namespace session
