// Serialisation of the bodies of ciphertexts and keys: the only code in the core that parses untrusted bytes. The
// caller adds and checks the frame around a body (version, parameter fingerprint, checksum).
//
// All numbers are little-endian. The size of an object follows from the context, and from the level, parts and seed
// that its first bytes state; it is checked before anything is allocated. The load functions throw FormatError on bytes
// that the dump functions cannot have written under this context.
#pragma once

#include <functional>

#include "ckks/ciphertext.h"
#include "ckks/context.h"
#include "codec/bits.h"

namespace hetorch::codec {

using ByteView = std::span<const std::uint8_t>;
// The uniform expansion of a seed: returns `length` bytes, the piece `index`.
using Expander =
    std::function<std::vector<std::uint8_t>(const rlwe::Seed& seed, std::size_t index, std::size_t length)>;

// Layout: u8 level, u8 parts (2 or 3), u8 seeded, f64 scale, then the parts; if seeded, the second part is a 32-byte
// seed.
std::vector<std::uint8_t> dump_ciphertext(const ckks::Ciphertext& ciphertext, const ckks::Context& context);
std::size_t ciphertext_bytes(std::size_t level, std::size_t parts, bool seeded, const ckks::Context& context);
ckks::Ciphertext load_ciphertext(ByteView bytes, const ckks::Context& context, const Expander& expand);

// Layout: u8 level, the seed, then b of each digit. The reader must know the family. dump throws std::invalid_argument
// for a key without a seed.
std::vector<std::uint8_t> dump_switching_key(const rlwe::SwitchingKey& key, const ckks::Context& context);
std::size_t switching_key_bytes(std::size_t level, const rlwe::KeyFamily& family);
rlwe::SwitchingKey load_switching_key(ByteView bytes, std::size_t level, const rlwe::KeyFamily& family,
                                      const Expander& expand);

// Layout: the seed, then b. dump throws std::invalid_argument for a key without a seed and for an extended key.
std::vector<std::uint8_t> dump_public_key(const rlwe::PublicKey& key, const ckks::Context& context);
std::size_t public_key_bytes(const ckks::Context& context);
rlwe::PublicKey load_public_key(ByteView bytes, const ckks::Context& context, const Expander& expand);

}  // namespace hetorch::codec
