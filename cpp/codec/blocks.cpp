#include "codec/blocks.h"

#include <cstring>
#include <utility>

#include "kernels/packed.h"
#include "ring/buffer.h"

namespace hetorch::codec {
namespace {

using u64 = std::uint64_t;

constexpr std::size_t kGroupWords = kGroupBytes / 8;

// Word `Word` of a packed group: the bits of the two or three residues that it holds. All shifts are constants.
template <std::size_t Word>
inline void pack_word(u64* words, const u64* residues) {
  constexpr std::size_t bits = kBlockBits;
  constexpr std::size_t first = 64 * Word / bits;
  constexpr std::size_t last = (64 * Word + 63) / bits;
  u64 word = residues[first] >> (64 * Word - bits * first);
  if constexpr (last > first) word |= residues[first + 1] << (bits * (first + 1) - 64 * Word);
  if constexpr (last > first + 1) word |= residues[first + 2] << (bits * (first + 2) - 64 * Word);
  words[Word] = word;
}

template <std::size_t... Word>
inline void pack_group(u64* words, const u64* residues, std::index_sequence<Word...>) {
  (pack_word<Word>(words, residues), ...);
}

}  // namespace

void pack_block(std::uint8_t* out, const u64* numbers, std::size_t count) {
  u64 words[kGroupWords];
  for (std::size_t i = 0; i < count; i += kGroup, out += kGroupBytes) {
    pack_group(words, numbers + i, std::make_index_sequence<kGroupWords>{});
    std::memcpy(out, words, kGroupBytes);
  }
  ring::wipe(words, sizeof words);
}

bool unpack_block(u64* out, const std::uint8_t* bytes, std::size_t count, const kernels::Kernels& path) {
  const std::size_t most = count - kGroup;
  path.unpack(out, bytes, kBlockBits, most);
  std::uint8_t last[kGroupBytes + kernels::kPackedPadding] = {};  // nothing may be readable behind the last group
  std::memcpy(last, bytes + most / kGroup * kGroupBytes, kGroupBytes);
  path.unpack(out + most, last, kBlockBits, kGroup);
  ring::wipe(last, sizeof last);
  u64 outside = 0;  // its highest bit is set if a number is not below q
  for (std::size_t i = 0; i < count; ++i) outside |= kBlockPrime - 1 - out[i];
  return outside >> 63 == 0;
}

}  // namespace hetorch::codec
