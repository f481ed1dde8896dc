#include "codec/objects.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include "ring/sample.h"

namespace hetorch::codec {
namespace {

using ring::Limbs;
using ring::NttPoly;

// Size in bytes of level, parts, seeded and scale.
constexpr std::size_t kHeaderBytes = 3 + sizeof(double);
constexpr std::size_t kSeedBytes = std::tuple_size_v<rlwe::Seed>;

std::size_t poly_bytes(Limbs limbs, const ring::RnsBasis& basis) {
  std::size_t total = 0;
  for (std::size_t r = 0; r < limbs.count(); ++r) total += packed_bytes(basis.n(), basis.prime(basis.index(limbs, r)));
  return total;
}

void dump_poly(std::vector<std::uint8_t>& out, const NttPoly& poly, const ring::RnsBasis& basis) {
  for (std::size_t r = 0; r < poly.limbs().count(); ++r) {
    pack(out, poly.row(r), poly.n(), basis.prime(basis.index(poly.limbs(), r)));
  }
}

void dump_seed(std::vector<std::uint8_t>& out, const rlwe::Seed& seed) {
  out.insert(out.end(), seed.begin(), seed.end());
}

// Takes pieces off the front of untrusted bytes, and checks each length against the bytes that are left.
class Reader {
 public:
  explicit Reader(ByteView bytes) : left_(bytes) {}

  ByteView take(std::size_t count) {
    if (left_.size() < count) {
      throw FormatError("the data ends early: " + std::to_string(count) + " bytes expected, " +
                        std::to_string(left_.size()) + " left");
    }
    const ByteView piece = left_.first(count);
    left_ = left_.subspan(count);
    return piece;
  }
  std::uint8_t byte() { return take(1)[0]; }
  rlwe::Seed seed() {
    rlwe::Seed seed;
    std::memcpy(seed.data(), take(kSeedBytes).data(), kSeedBytes);
    return seed;
  }
  NttPoly poly(Limbs limbs, const ring::RnsBasis& basis) {
    NttPoly result(basis.n(), limbs);
    for (std::size_t r = 0; r < limbs.count(); ++r) {
      const std::uint64_t q = basis.prime(basis.index(limbs, r));
      unpack(result.row(r), take(packed_bytes(basis.n(), q)), basis.n(), q);
    }
    return result;
  }

 private:
  ByteView left_;
};

void check_length(const char* what, std::size_t expected, std::size_t seen) {
  if (expected != seen) {
    throw FormatError(std::string(what) + " has " + std::to_string(seen) + " bytes, expected " +
                      std::to_string(expected));
  }
}

// Refuse a key that another library made: it has no seed that expands to its uniform half.
void check_seeded(bool seeded) {
  if (!seeded)
    throw std::invalid_argument("a key that was made by another library is written in that one's format only");
}

NttPoly expand_uniform(const rlwe::Seed& seed, std::size_t index, Limbs limbs, const ring::RnsBasis& basis,
                       const Expander& expand) {
  return ring::sample_uniform(expand(seed, index, basis.n() * limbs.count() * ring::kUniformBytes), limbs, basis);
}

}  // namespace

std::size_t ciphertext_bytes(std::size_t level, std::size_t parts, bool seeded, const ckks::Context& context) {
  if (level > context.max_level()) {
    throw std::invalid_argument("level " + std::to_string(level) + " is above the chain's " +
                                std::to_string(context.max_level()));
  }
  const std::size_t one = poly_bytes({level + 1, 0}, context.basis());
  return kHeaderBytes + (seeded ? one + kSeedBytes : parts * one);
}

std::vector<std::uint8_t> dump_ciphertext(const ckks::Ciphertext& ciphertext, const ckks::Context& context) {
  for (const NttPoly& part : ciphertext.body.parts) context.rlwe().check_data(part);
  const bool seeded = ciphertext.body.seed.has_value();
  std::vector<std::uint8_t> out;
  out.reserve(ciphertext_bytes(ciphertext.level(), ciphertext.size(), seeded, context));
  out.push_back(static_cast<std::uint8_t>(ciphertext.level()));
  out.push_back(static_cast<std::uint8_t>(ciphertext.size()));
  out.push_back(seeded ? 1 : 0);
  const std::uint64_t scale = std::bit_cast<std::uint64_t>(ciphertext.scale);
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::uint8_t>(scale >> (8 * i)));
  dump_poly(out, ciphertext.body.parts[0], context.basis());
  if (seeded) {
    dump_seed(out, *ciphertext.body.seed);
  } else {
    for (std::size_t i = 1; i < ciphertext.size(); ++i) dump_poly(out, ciphertext.body.parts[i], context.basis());
  }
  return out;
}

ckks::Ciphertext load_ciphertext(ByteView bytes, const ckks::Context& context, const Expander& expand) {
  Reader reader(bytes);
  const std::size_t level = reader.byte();
  const std::size_t parts = reader.byte();
  const std::size_t seeded = reader.byte();
  std::uint64_t scale_bits = 0;
  const ByteView scale_bytes = reader.take(8);
  for (int i = 0; i < 8; ++i)
    scale_bits |= static_cast<std::uint64_t>(scale_bytes[static_cast<std::size_t>(i)]) << (8 * i);
  if (level > context.max_level()) {
    throw FormatError("the ciphertext claims level " + std::to_string(level) + ", the parameters end at " +
                      std::to_string(context.max_level()));
  }
  if (seeded > 1 || parts < 2 || parts > 3 || (seeded == 1 && parts != 2)) {
    throw FormatError("the ciphertext claims " + std::to_string(parts) + " parts, seeded " + std::to_string(seeded));
  }
  ckks::Ciphertext result;
  result.scale = std::bit_cast<double>(scale_bits);
  // The smallest scale that makes sense is 2^0.
  if (!(result.scale >= 1) || !std::isfinite(result.scale)) throw FormatError("the ciphertext's scale is out of range");
  check_length("the ciphertext", ciphertext_bytes(level, parts, seeded == 1, context), bytes.size());
  const Limbs limbs{level + 1, 0};
  result.body.parts.push_back(reader.poly(limbs, context.basis()));
  if (seeded == 1) {
    result.body.seed = reader.seed();
    result.body.parts.push_back(expand_uniform(*result.body.seed, 0, limbs, context.basis(), expand));
  } else {
    for (std::size_t i = 1; i < parts; ++i) result.body.parts.push_back(reader.poly(limbs, context.basis()));
  }
  return result;
}

std::size_t switching_key_bytes(std::size_t level, const rlwe::KeyFamily& family) {
  if (level > family.max_level()) throw std::invalid_argument("the key's level is above the chain");
  return 1 + kSeedBytes + family.digit_count(level) * poly_bytes(family.extended_limbs(level), family.basis());
}

std::vector<std::uint8_t> dump_switching_key(const rlwe::SwitchingKey& key, const ckks::Context& context) {
  std::vector<std::uint8_t> out;
  check_seeded(key.seeded);
  out.reserve(switching_key_bytes(key.level, key.family(context.rlwe())));
  out.push_back(static_cast<std::uint8_t>(key.level));
  dump_seed(out, key.seed);
  for (std::size_t d = 0; d < key.digit_count(); ++d) dump_poly(out, key.b(d), context.basis());
  return out;
}

rlwe::SwitchingKey load_switching_key(ByteView bytes, std::size_t level, const rlwe::KeyFamily& family,
                                      const Expander& expand) {
  if (level > family.max_level()) throw FormatError("the key's level is out of range");
  if (family.shape().special_count == 0) throw FormatError("parameters without special primes have no such keys");
  check_length("the key", switching_key_bytes(level, family), bytes.size());
  Reader reader(bytes);
  if (const std::size_t claimed = reader.byte(); claimed != level) {
    throw FormatError("the key is for level " + std::to_string(claimed) + ", expected " + std::to_string(level));
  }
  rlwe::SwitchingKey key(level, family);
  key.seed = reader.seed();
  const Limbs limbs = family.extended_limbs(level);
  for (std::size_t d = 0; d < key.digit_count(); ++d) {
    const NttPoly b = reader.poly(limbs, family.basis());
    key.set(d, b, expand_uniform(key.seed, d, limbs, family.basis(), expand));
  }
  return key;
}

std::size_t public_key_bytes(const ckks::Context& context) {
  return kSeedBytes + poly_bytes(context.rlwe().data_limbs(context.max_level()), context.basis());
}

std::vector<std::uint8_t> dump_public_key(const rlwe::PublicKey& key, const ckks::Context& context) {
  std::vector<std::uint8_t> out;
  check_seeded(key.seeded);
  context.rlwe().check(key.b);
  if (key.b.limbs().special != 0) throw std::invalid_argument("this format has no room for an extended public key");
  out.reserve(public_key_bytes(context));
  dump_seed(out, key.seed);
  dump_poly(out, key.b, context.basis());
  return out;
}

rlwe::PublicKey load_public_key(ByteView bytes, const ckks::Context& context, const Expander& expand) {
  check_length("the public key", public_key_bytes(context), bytes.size());
  Reader reader(bytes);
  rlwe::PublicKey key;
  key.seed = reader.seed();
  const Limbs limbs = context.rlwe().data_limbs(context.max_level());
  key.b = reader.poly(limbs, context.basis());
  key.a = expand_uniform(key.seed, 0, limbs, context.basis(), expand);
  return key;
}

}  // namespace hetorch::codec
