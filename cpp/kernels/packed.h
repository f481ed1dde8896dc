// Residues of one prime in as many bits as it has, in blocks of 8: word i of a block of `bits` bytes begins at bit
// i * bits, low bits first. Little-endian machines only.
#pragma once

#include <bit>
#include <cstring>

#include "kernels/api.h"

namespace hetorch::kernels {

constexpr std::size_t kPackedBlock = 8;
// What may be read beyond the last block: paths load registers of this size from the first byte of a block.
constexpr std::size_t kPackedPadding = 64;

// The widths that unpack with one load of 8 bytes a word, which a word of w bits may begin at bit 7 of: w <= 57. Wider
// primes, which only the wide paths take, stay at 64.
inline int packed_bits(u64 q) {
  const int bits = std::bit_width(q);
  return bits <= 50 ? bits : 64;
}

static_assert(std::endian::native == std::endian::little);

// 8 words below 2^bits into `bits` bytes.
inline void pack_block(std::uint8_t* out, const u64* words, int bits) {
  if (bits == 64) {
    std::memcpy(out, words, kPackedBlock * sizeof(u64));
    return;
  }
  u64 held = 0;
  int count = 0;  // bits held, below 64
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    held |= words[i] << count;
    count += bits;
    if (count < 64) continue;
    std::memcpy(out, &held, sizeof held);
    out += sizeof held;
    count -= 64;
    held = words[i] >> (bits - count);  // bits - count >= 1: what was below 64 has room for a bit at least
  }
  std::memcpy(out, &held, static_cast<std::size_t>(count) / 8);  // 8 * bits is a multiple of 8, and so is what is left
}

inline void unpack_block(u64* words, const std::uint8_t* in, int bits) {
  const u64 mask = ~u64{0} >> (64 - bits);
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    const std::size_t at = i * static_cast<std::size_t>(bits);
    u64 window;
    std::memcpy(&window, in + at / 8, sizeof window);
    words[i] = (window >> (at % 8)) & mask;
  }
}

}  // namespace hetorch::kernels
