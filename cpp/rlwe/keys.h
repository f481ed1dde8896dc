// Public keys, evaluation keys and ciphertexts: nothing here is secret.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/packed.h"
#include "rlwe/context.h"

namespace hetorch::rlwe {

using Seed = std::array<std::uint8_t, 32>;

// An encryption of zero, (b, a) with b + a s = e, over all data primes; an extended key is over the special primes too.
struct PublicKey {
  NttPoly b;
  NttPoly a;
  Seed seed{};         // a is the uniform expansion of this seed, if seeded
  bool seeded = true;  // false for a key that another library made
};

// A key that switches from s_from to s_to: for each digit d a pair (b_d, a_d) over q_0…q_level and P with b_d + a_d
// s_to = e_d + P T_d s_from, where T_d is 1 modulo the primes of digit d and 0 modulo the others (hybrid key switching:
// Han and Ki, eprint 2019/688). It serves its level and all lower ones.
class SwitchingKey {
 public:
  SwitchingKey() = default;
  // Contents are unspecified until every digit is set.
  SwitchingKey(std::size_t key_level, const KeyFamily& family);
  // A key over words that words() gave of another key, such as those in a mapped file; `owner` keeps them alive. At
  // least kPackedPadding bytes must be readable behind them. It cannot be changed. Throws std::invalid_argument for
  // another number of bytes.
  SwitchingKey(std::size_t key_level, const KeyFamily& family, std::span<const std::uint8_t> words,
               std::shared_ptr<const void> owner);

  std::size_t level = 0;
  Seed seed{};         // the a_d are the uniform expansion of this seed, if seeded
  bool seeded = true;  // false for a key that another library made

  KeyShape shape() const { return shape_; }
  // Memory in bytes.
  std::size_t bytes() const { return words_.size() * 8; }
  std::size_t digit_count() const { return digit_count_; }
  void set(std::size_t d, const NttPoly& b, const NttPoly& a);
  // Copies of the halves of digit d.
  NttPoly b(std::size_t d) const { return half(d, 0); }
  NttPoly a(std::size_t d) const { return half(d, 1); }
  // Row r from word `begin` on, a multiple of 8. The speed of key switches is bound by reading keys from memory, and
  // one packed stream on huge pages is read faster than two streams of whole words for each digit.
  kernels::KeyRow row(std::size_t r, std::size_t begin = 0) const {
    return {packed() + starts_[r] + block_bytes(r) * (begin / kernels::kPackedBlock), bits_[r], digit_count_};
  }
  // The packed words of all rows, without the padding behind them.
  std::span<const std::uint8_t> words() const { return {packed(), byte_count_}; }
  // Number of bytes of words(), for a key of this level.
  static std::size_t word_bytes(std::size_t key_level, const KeyFamily& family);
  // Return the family of the key; throw std::invalid_argument if it was made under other parameters.
  const KeyFamily& family(const Context& context) const;

 private:
  struct Shape {};  // tells the constructor that makes no words
  SwitchingKey(Shape, std::size_t key_level, const KeyFamily& family);
  NttPoly half(std::size_t d, std::size_t h) const;
  const std::uint8_t* packed() const {
    return outside_ != nullptr ? outside_ : reinterpret_cast<const std::uint8_t*>(words_.data());
  }
  std::size_t block_bytes(std::size_t r) const { return 2 * digit_count_ * static_cast<std::size_t>(bits_[r]); }

  std::size_t n_ = 0;
  KeyShape shape_;
  Limbs limbs_;
  std::size_t digit_count_ = 0;
  std::vector<int> bits_;            // width of a word in bits, for each row
  std::vector<std::size_t> starts_;  // offset in bytes, for each row
  std::size_t byte_count_ = 0;
  ring::Buffer words_;
  const std::uint8_t* outside_ = nullptr;  // the words of a key that does not hold them itself
  std::shared_ptr<const void> owner_;
};

// The secrets that switching keys connect: s, the dense key of the data owner; its square; the sparse one under which
// bootstrapping raises the modulus; and that one over the last special prime p, for keys of one digit
// (make_scaled_key).
enum class KeyEnd : std::uint8_t { dense, dense_squared, sparse, sparse_scaled };

// The name of a switching key. It switches from the secret `from` to g^-1(`to`), g = `element`: the inner product comes
// first and the automorphism g after it, so that one decomposition serves many rotations. The relinearisation key
// switches from s^2 to s, with g = 1.
struct KeyName {
  KeyEnd from = KeyEnd::dense;
  KeyEnd to = KeyEnd::dense;
  std::uint32_t element = 1;
  auto operator<=>(const KeyName&) const = default;
};
inline constexpr KeyName kRelinearisation{KeyEnd::dense_squared, KeyEnd::dense, 1};
inline KeyName galois_name(std::uint32_t element) { return {KeyEnd::dense, KeyEnd::dense, element}; }

using KeyPtr = std::shared_ptr<const SwitchingKey>;

// The keys with which a server computes on ciphertexts. There may be several of one name, each of another family.
class EvaluationKeys {
 public:
  // Add a key, in place of one of the same name and family.
  void add(const KeyName& name, KeyPtr key);
  // Return the key of this name that reaches `level` and has the fewest special primes; null if there is none.
  const SwitchingKey* find(const KeyName& name, std::size_t level) const;
  // Return the key of this name and family; null if there is none.
  KeyPtr find(const KeyName& name, KeyShape shape) const;
  // Return the highest level that a key of this name reaches; nothing if there is no such key.
  std::optional<std::size_t> reach(const KeyName& name) const;
  // All keys by name and family.
  const std::map<std::pair<KeyName, KeyShape>, KeyPtr>& all() const { return keys_; }

 private:
  std::map<std::pair<KeyName, KeyShape>, KeyPtr> keys_;
};

// One polynomial of a ciphertext, immutable and shared by all ciphertexts that have it. So an operation does not copy a
// polynomial that it leaves unchanged (the sum of a ciphertext and a plaintext has the ciphertext's c_1).
class Part {
 public:
  // Not explicit, so that a polynomial can be put into a ciphertext when it is complete.
  Part(NttPoly&& poly) : poly_(std::make_shared<const NttPoly>(std::move(poly))) {}

  operator const NttPoly&() const { return *poly_; }
  const NttPoly& operator*() const { return *poly_; }
  const NttPoly* operator->() const { return poly_.get(); }

  // Return the part modulo the first `data` data primes; shared if it has no others.
  Part prefix(std::size_t data) const { return data == poly_->limbs().data ? *this : Part(poly_->prefix(data)); }

 private:
  std::shared_ptr<const NttPoly> poly_;
};

inline std::vector<Part> parts_of(std::vector<NttPoly>&& polys) {
  return {std::make_move_iterator(polys.begin()), std::make_move_iterator(polys.end())};
}

// The parts c_0, c_1, … of a message c_0 + c_1 s + c_2 s^2 + …: two, or more after products.
struct Ciphertext {
  std::vector<Part> parts;
  std::optional<Seed> seed;  // present if parts[1] is the uniform expansion of it (fresh secret-key encryption)

  std::size_t level() const { return parts[0]->limbs().data - 1; }
};

}  // namespace hetorch::rlwe
