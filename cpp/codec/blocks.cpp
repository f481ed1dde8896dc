#include "codec/blocks.h"

#include <bit>
#include <cstring>
#include <utility>

#include "ring/buffer.h"

namespace hetorch::codec {
namespace {

using u64 = std::uint64_t;

constexpr std::size_t kGroupWords = kGroupBytes / 8;
constexpr u64 kMask = (u64{1} << kBlockBits) - 1;

// The same words in little-endian order, as they are in bytes.
inline u64 little_endian(u64 word) {
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

// Word `Word` of a packed group: the bits of the two or three residues that it holds. All shifts are constants.
template <std::size_t Word>
inline void pack_word(u64* words, const u64* residues) {
  constexpr std::size_t bits = kBlockBits;
  constexpr std::size_t first = 64 * Word / bits;
  constexpr std::size_t last = (64 * Word + 63) / bits;
  u64 word = residues[first] >> (64 * Word - bits * first);
  if constexpr (last > first) word |= residues[first + 1] << (bits * (first + 1) - 64 * Word);
  if constexpr (last > first + 1) word |= residues[first + 2] << (bits * (first + 2) - 64 * Word);
  words[Word] = little_endian(word);
}

template <std::size_t... Word>
inline void pack_group(u64* words, const u64* residues, std::index_sequence<Word...>) {
  (pack_word<Word>(words, residues), ...);
}

template <std::size_t Place>
inline u64 unpack_place(const u64* words) {
  constexpr std::size_t word = kBlockBits * Place / 64;
  constexpr std::size_t shift = kBlockBits * Place % 64;
  u64 value = words[word] >> shift;
  if constexpr (shift + kBlockBits > 64) value |= words[word + 1] << (64 - shift);
  return value & kMask;
}

// Returns a word with the highest bit set if a number is not below q.
template <std::size_t... Place>
inline u64 unpack_group(u64* out, const u64* words, std::index_sequence<Place...>) {
  ((out[Place] = unpack_place<Place>(words)), ...);
  return ((kBlockPrime - 1 - out[Place]) | ...);
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

bool unpack_block(u64* out, const std::uint8_t* bytes, std::size_t count) {
  u64 words[kGroupWords];
  u64 outside = 0;
  for (std::size_t i = 0; i < count; i += kGroup, bytes += kGroupBytes) {
    std::memcpy(words, bytes, kGroupBytes);
    for (u64& word : words) word = little_endian(word);
    outside |= unpack_group(out + i, words, std::make_index_sequence<kGroup>{});
  }
  ring::wipe(words, sizeof words);
  return outside >> 63 == 0;
}

}  // namespace hetorch::codec
