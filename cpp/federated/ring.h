// The ring of training together, Z_q[X] / (X^N + 1), and its elements, blocks, in memory and as bytes.
//
// A block is N residues in 64-bit words, or kBlockBytes packed bytes (codec/blocks.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/blocks.h"
#include "kernels/api.h"
#include "ring/ntt_tables.h"

namespace hetorch::federated {

using kernels::u64;
using Bytes = std::span<const std::uint8_t>;

inline constexpr std::size_t kDegree = 2048;  // N
inline constexpr int kPrimeBits = codec::kBlockBits;
inline constexpr u64 kPrime = codec::kBlockPrime;  // q, 1 modulo 2N
inline constexpr std::size_t kBlockBytes = kDegree * kPrimeBits / 8;

// Random bytes of a uniform block: its residues, and a group of spares for those that are not below q.
inline constexpr std::size_t kUniformBytes = kBlockBytes + codec::kGroupBytes;

// The tables of the transform, for one kernel path.
class Ring {
 public:
  explicit Ring(const kernels::Kernels& path) : path_(path), tables_(kDegree, kPrime, path) {}
  const kernels::Kernels& path() const { return path_; }
  const kernels::NttView& table() const { return tables_.view(); }
  const kernels::ModulusConstants& modulus() const { return tables_.modulus(); }

 private:
  const kernels::Kernels& path_;
  ring::NttTables tables_;
};

// Return the ring on the path that this process selects (kernels::select), made at the first call.
const Ring& selected_ring();

// Make a uniform block of kUniformBytes random bytes: each number that is not below q is replaced by the next spare
// that is. Only numbers that are thrown away decide a branch. A number is too large with a probability of 2^-30; throws
// std::invalid_argument if the spares do not suffice.
void uniform_block(u64* out, const std::uint8_t* random, const Ring& ring);

}  // namespace hetorch::federated
