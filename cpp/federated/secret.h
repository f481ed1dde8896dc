// What a party does with secrets: noise, masks, tags and shares. No branch and no index depends on one.
//
// A ciphertext block is a s + e + 2^shift m with a uniform block a, given by its transform, a secret s, a block of
// errors e and a block of integers m.
#pragma once

#include <array>

#include "federated/ring.h"
#include "ring/buffer.h"

namespace hetorch::federated {

// Random bytes of a block of Gaussian numbers.
inline constexpr std::size_t kGaussianBytes = 8 * kDegree;

// Memory of secrets, which is overwritten when it goes out of scope.
struct SecretBuffer : ring::Buffer {
  explicit SecretBuffer(std::size_t words) : ring::Buffer(words) {}
  SecretBuffer(SecretBuffer&&) = default;
  SecretBuffer(const SecretBuffer&) = delete;
  SecretBuffer& operator=(SecretBuffer&&) = delete;
  ~SecretBuffer() { wipe(); }
};

// Discrete Gaussian numbers of standard deviation 4.53, at most 42 in size, in two's complement: a block for each
// kGaussianBytes bytes. Inverts a table of 63-bit probabilities by comparing with every entry; the highest bit of a
// word is the sign.
void gaussian_blocks(u64* out, Bytes random, const Ring& ring);

// out = sum of weights[i] * rows[i], rows of N numbers above -q and below q in two's complement, weights below q.
void weighted_sum(u64* out, const u64* const* rows, std::span<const u64> weights, const Ring& ring);

// A secret s of one round, kept as its transform.
class Secret {
 public:
  // coefficients: N numbers above -q and below q in two's complement.
  Secret(const u64* coefficients, const Ring& ring);
  const u64* transform() const { return transform_.data(); }
  void wipe() { transform_.wipe(); }

 private:
  SecretBuffer transform_;
};

// The tag of some blocks: the two residues <r_h (x) u_h, blocks>, with factors r_h for blocks and u_h for places in
// them.
class Tag {
 public:
  // The number of random bytes from which the factors for `blocks` blocks are made.
  static std::size_t random_bytes(std::size_t blocks);

  Tag(Bytes random, std::size_t blocks, const Ring& ring);

  // Add `count` blocks, the first of which has the index `first`. Throws std::invalid_argument if there are no factors
  // for them. No two threads may add at once.
  void add(const u64* residues, std::size_t first, std::size_t count, const Ring& ring);
  // The same for packed blocks; throws codec::FormatError, and adds none, unless they are whole blocks of residues
  // below q.
  void add_packed(Bytes packed, std::size_t first, const Ring& ring);

  std::array<u64, 2> value(const Ring& ring) const;
  void wipe();

 private:
  void check(std::size_t first, std::size_t count) const;
  std::size_t blocks_;
  SecretBuffer places_;  // u_0, u_1
  SecretBuffer rows_;    // r_0, r_1
  SecretBuffer sums_;    // for each h and place, the sum of the blocks' residues there, each times its factor
};

// One run of blocks that belong together.
struct Run {
  std::size_t count;
  std::size_t first;  // the index of its first block
  Bytes uniform;      // count * kUniformBytes
  int shift;          // log2 of the factor of an integer
};

// Encrypt count * N integers to count * kBlockBytes bytes, and add the ciphertext to the tag. `random` gives the
// errors, count * kGaussianBytes. Integers are at most (q / 2) >> shift in size. Throws std::invalid_argument for wrong
// lengths.
void encrypt_blocks(std::span<std::uint8_t> out, std::span<const std::int64_t> integers, const Run& run,
                    const Secret& secret, Bytes random, Tag& tag, const Ring& ring);

// Decrypt packed blocks to the integers that are nearest. Returns false if an error is above `error_bound` in size:
// they are then no integers. Throws codec::FormatError unless the residues are below q.
bool decrypt_blocks(std::span<std::int64_t> out, Bytes packed, const Run& run, const Secret& secret, u64 error_bound,
                    const Ring& ring);

}  // namespace hetorch::federated
