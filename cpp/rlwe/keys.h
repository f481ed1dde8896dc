// Public objects of a key pair: nothing here is secret.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/packed.h"
#include "rlwe/context.h"

namespace hetorch::rlwe {

using Seed = std::array<std::uint8_t, 32>;

// (b, a) with b + a s = e, over all data primes.
struct PublicKey {
  NttPoly b;
  NttPoly a;
  Seed seed{};         // a is the uniform expansion of this seed,
  bool seeded = true;  // unless the key was made elsewhere
};

// For each digit d the pair (b_d, a_d) over q_0…q_level and P with b_d + a_d s_to = e_d + P T_d s_from, where T_d is 1
// modulo the primes of digit d and 0 modulo the others (hybrid key switching: Han and Ki, eprint 2019/688).
class SwitchingKey {
 public:
  SwitchingKey() = default;
  // All words are to be set.
  SwitchingKey(std::size_t key_level, const Context& context);

  std::size_t level = 0;
  Seed seed{};         // the a_d are its expansion,
  bool seeded = true;  // unless the key was made elsewhere

  std::size_t digit_count() const { return digit_count_; }
  void set(std::size_t d, const NttPoly& b, const NttPoly& a);
  // Copies.
  NttPoly b(std::size_t d) const { return half(d, 0); }
  NttPoly a(std::size_t d) const { return half(d, 1); }
  // Row r from word `begin` on, a multiple of 8: key switches are bound by how fast keys come from memory, and one
  // packed stream on huge pages comes faster than two of words for each digit.
  kernels::KeyRow row(std::size_t r, std::size_t begin = 0) const {
    return {bytes() + starts_[r] + block_bytes(r) * (begin / kernels::kPackedBlock), bits_[r], digit_count_};
  }
  // Throws std::invalid_argument when the key was made under other parameters.
  void check(const Context& context) const;

 private:
  NttPoly half(std::size_t d, std::size_t h) const;
  const std::uint8_t* bytes() const { return reinterpret_cast<const std::uint8_t*>(words_.data()); }
  std::size_t block_bytes(std::size_t r) const { return 2 * digit_count_ * static_cast<std::size_t>(bits_[r]); }

  std::size_t n_ = 0;
  Limbs limbs_;
  std::size_t digit_count_ = 0;
  std::vector<int> bits_;            // of a word, by row
  std::vector<std::size_t> starts_;  // of a row, in bytes
  ring::Buffer words_;
};

// The key of a Galois element g switches from s to g^-1(s), so that one decomposition serves many rotations: the inner
// product comes first and the automorphism after it. The relinearisation key switches from s^2 to s.
struct EvaluationKeys {
  std::shared_ptr<const SwitchingKey> relinearisation;
  std::map<std::uint32_t, std::shared_ptr<const SwitchingKey>> galois;
};

// A polynomial that nobody changes any more, held by all ciphertexts that have it: what an operation leaves as it is (a
// sum with a plaintext leaves c_1) need not be copied.
class Part {
 public:
  // Not explicit: a polynomial becomes a part when it is done.
  Part(NttPoly&& poly) : poly_(std::make_shared<const NttPoly>(std::move(poly))) {}

  operator const NttPoly&() const { return *poly_; }
  const NttPoly& operator*() const { return *poly_; }
  const NttPoly* operator->() const { return poly_.get(); }

  // With the first `data` data primes only.
  Part prefix(std::size_t data) const { return data == poly_->limbs().data ? *this : Part(poly_->prefix(data)); }

 private:
  std::shared_ptr<const NttPoly> poly_;
};

inline std::vector<Part> parts_of(std::vector<NttPoly>&& polys) {
  return {std::make_move_iterator(polys.begin()), std::make_move_iterator(polys.end())};
}

// (c_0, c_1[, c_2]): the message is c_0 + c_1 s [+ c_2 s^2].
struct Ciphertext {
  std::vector<Part> parts;
  std::optional<Seed> seed;  // set when parts[1] is the uniform expansion of this seed (fresh secret-key encryption)

  std::size_t level() const { return parts[0]->limbs().data - 1; }
};

}  // namespace hetorch::rlwe
