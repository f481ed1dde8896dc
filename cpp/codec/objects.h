// The bodies of ciphertexts and keys as bytes, and back: the only code in the core that parses untrusted bytes. The
// frame around a body (version, parameter fingerprint, checksum) is put on and checked by the caller.
//
// All numbers are little-endian. Sizes follow from the context alone, and are checked before anything is allocated.
#pragma once

#include <functional>

#include "ckks/ciphertext.h"
#include "ckks/context.h"
#include "codec/bits.h"

namespace hetorch::codec {

using ByteView = std::span<const std::uint8_t>;
// length bytes: the `index`-th piece of the uniform expansion of a seed.
using Expander =
    std::function<std::vector<std::uint8_t>(const rlwe::Seed& seed, std::size_t index, std::size_t length)>;

// u8 level, u8 parts (2 or 3), u8 seeded, f64 scale, then the parts; the second part is a 32-byte seed when seeded.
std::vector<std::uint8_t> dump_ciphertext(const ckks::Ciphertext& ciphertext, const ckks::Context& context);
std::size_t ciphertext_bytes(std::size_t level, std::size_t parts, bool seeded, const ckks::Context& context);
// FormatError on anything that dump_ciphertext cannot have written.
ckks::Ciphertext load_ciphertext(ByteView bytes, const ckks::Context& context, const Expander& expand);

// u8 level, seed, then b of each digit.
std::vector<std::uint8_t> dump_switching_key(const rlwe::SwitchingKey& key, const ckks::Context& context);
std::size_t switching_key_bytes(std::size_t level, const ckks::Context& context);
rlwe::SwitchingKey load_switching_key(ByteView bytes, std::size_t level, const ckks::Context& context,
                                      const Expander& expand);

// seed, then b.
std::vector<std::uint8_t> dump_public_key(const rlwe::PublicKey& key, const ckks::Context& context);
std::size_t public_key_bytes(const ckks::Context& context);
rlwe::PublicKey load_public_key(ByteView bytes, const ckks::Context& context, const Expander& expand);

}  // namespace hetorch::codec
