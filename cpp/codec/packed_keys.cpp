#include "codec/packed_keys.h"

#include <cstring>
#include <string>
#include <utility>

namespace hetorch::codec {
namespace {

// Size of level, seeded, seed and zeros in bytes.
constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kSeedOffset = 2;
static_assert(kSeedOffset + std::tuple_size_v<rlwe::Seed> <= kHeaderBytes && kHeaderBytes % kPackedKeyAlignment == 0);

}  // namespace

std::size_t packed_key_bytes(std::size_t level, const rlwe::KeyFamily& family) {
  if (level > family.max_level()) throw std::invalid_argument("the key's level is above the chain");
  const std::size_t bytes = kHeaderBytes + rlwe::SwitchingKey::word_bytes(level, family) + kernels::kPackedPadding;
  return (bytes + kPackedKeyAlignment - 1) / kPackedKeyAlignment * kPackedKeyAlignment;
}

std::vector<std::uint8_t> pack_key(const rlwe::SwitchingKey& key, const ckks::Context& context) {
  std::vector<std::uint8_t> out(packed_key_bytes(key.level, key.family(context.rlwe())), 0);
  out[0] = static_cast<std::uint8_t>(key.level);
  out[1] = key.seeded ? 1 : 0;
  std::memcpy(out.data() + kSeedOffset, key.seed.data(), key.seed.size());
  std::memcpy(out.data() + kHeaderBytes, key.words().data(), key.words().size());
  return out;
}

rlwe::SwitchingKey map_key(ByteView bytes, std::size_t level, const rlwe::KeyFamily& family,
                           std::shared_ptr<const void> owner) {
  if (level > family.max_level()) throw FormatError("the key's level is out of range");
  if (bytes.size() != packed_key_bytes(level, family)) {
    throw FormatError("the key has " + std::to_string(bytes.size()) + " bytes, expected " +
                      std::to_string(packed_key_bytes(level, family)));
  }
  if (bytes[0] != level || bytes[1] > 1) {
    throw FormatError("the key is for level " + std::to_string(bytes[0]) + ", expected " + std::to_string(level));
  }
  const std::size_t count = rlwe::SwitchingKey::word_bytes(level, family);
  rlwe::SwitchingKey key(level, family, bytes.subspan(kHeaderBytes, count), std::move(owner));
  key.seeded = bytes[1] == 1;
  std::memcpy(key.seed.data(), bytes.data() + kSeedOffset, key.seed.size());
  return key;
}

}  // namespace hetorch::codec
