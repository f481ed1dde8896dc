// Switching keys in the form that the kernels read, as bytes: a server writes them to a file once and maps it, so that
// processes share one copy in memory.
//
// This form is about twice as long as that of codec/objects.h, since it has both halves, and is read without being
// parsed or copied. Only lengths and the level are checked here, and residues are not: the caller wrote the bytes
// itself and checks that they are the same. Whatever they are, nothing outside of them is read.
#pragma once

#include <memory>

#include "codec/objects.h"

namespace hetorch::codec {

// Alignment of the bytes of each key: one cache line.
inline constexpr std::size_t kPackedKeyAlignment = 64;

// Size of one key in bytes, a multiple of kPackedKeyAlignment. Throws std::invalid_argument for a level above the
// chain.
std::size_t packed_key_bytes(std::size_t level, const rlwe::KeyFamily& family);

// Layout: u8 level, u8 seeded, the seed, zeros up to 64 bytes, the words of the key, zeros: kPackedPadding bytes and
// what the alignment takes.
std::vector<std::uint8_t> pack_key(const rlwe::SwitchingKey& key, const ckks::Context& context);

// Return a key over these bytes, which `owner` keeps alive and unchanged. Throws FormatError if their number or the
// level differs.
rlwe::SwitchingKey map_key(ByteView bytes, std::size_t level, const rlwe::KeyFamily& family,
                           std::shared_ptr<const void> owner);

}  // namespace hetorch::codec
