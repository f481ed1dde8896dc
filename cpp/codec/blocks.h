// Residues of training together as packed bytes, 45 bits each, the first in the lowest bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api.h"

namespace hetorch::codec {

inline constexpr int kBlockBits = 45;
inline constexpr std::uint64_t kBlockPrime = (std::uint64_t{1} << kBlockBits) - 28671;  // q, 1 modulo 2^12

// Numbers that fill whole words; they are packed in such groups.
inline constexpr std::size_t kGroup = 64;
inline constexpr std::size_t kGroupBytes = kGroup * kBlockBits / 8;

// Pack `count` numbers below 2^45, a multiple of kGroup, to count / kGroup * kGroupBytes bytes. No branch depends on
// them.
void pack_block(std::uint8_t* out, const std::uint64_t* numbers, std::size_t count);

// Unpack as many numbers, at least kGroup. Returns true if all are below q.
bool unpack_block(std::uint64_t* out, const std::uint8_t* bytes, std::size_t count, const kernels::Kernels& path);

}  // namespace hetorch::codec
