// Packed residues: each takes as many bits as its prime, `bits`, in blocks of 8 words and `bits` bytes. Word i of a
// block begins at bit i * bits, low bits first. For little-endian machines only.
#pragma once

#include <bit>
#include <cstring>

#include "kernels/api.h"

namespace hetorch::kernels {

constexpr std::size_t kPackedBlock = 8;
// Bytes that must be readable after the last block: paths load a register of this size from the first byte of a block.
constexpr std::size_t kPackedPadding = 64;

// Bits of a packed word for the prime q: its width up to 50 bits, else 64. A word must unpack with one load of 8 bytes
// and may begin at bit 7 of them, so widths up to 57 would be possible. Primes above 2^50, which the narrow paths do
// not take, stay unpacked.
inline int packed_bits(u64 q) {
  const int bits = std::bit_width(q);
  return bits <= 50 ? bits : 64;
}

static_assert(std::endian::native == std::endian::little);

// Pack 8 words below 2^bits into `bits` bytes.
inline void pack_block(std::uint8_t* out, const u64* words, int bits) {
  if (bits == 64) {
    std::memcpy(out, words, kPackedBlock * sizeof(u64));
    return;
  }
  u64 held = 0;
  int count = 0;  // number of bits in `held`, below 64
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    held |= words[i] << count;
    count += bits;
    if (count < 64) continue;
    std::memcpy(out, &held, sizeof held);
    out += sizeof held;
    count -= 64;
    held = words[i] >> (bits - count);  // bits - count >= 1, as fewer than 64 bits were held before
  }
  std::memcpy(out, &held, static_cast<std::size_t>(count) / 8);  // 8 * bits is a multiple of 8, and so is count
}

// Unpack 8 words from `bits` bytes; up to 7 bytes beyond them are read.
inline void unpack_block(u64* words, const std::uint8_t* in, int bits) {
  const u64 mask = ~u64{0} >> (64 - bits);
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    const std::size_t at = i * static_cast<std::size_t>(bits);
    u64 window;
    std::memcpy(&window, in + at / 8, sizeof window);
    words[i] = (window >> (at % 8)) & mask;
  }
}

// Unpack n words, a multiple of 8.
inline void unpack_words(u64* words, const std::uint8_t* in, int bits, std::size_t n) {
  for (std::size_t j = 0; j < n; j += kPackedBlock, in += bits) unpack_block(words + j, in, bits);
}

}  // namespace hetorch::kernels
