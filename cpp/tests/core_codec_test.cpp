// Serialisation round trips, and broken bytes: truncated, changed, or with a header that does not fit.
#include "codec/objects.h"
#include "codec/packed_keys.h"
#include "core_session.h"

namespace {

using namespace session;
namespace codec = hetorch::codec;
using Blob = std::vector<std::uint8_t>;

void packing() {
  Stream stream(1);
  for (int bits = 2; bits <= 60; ++bits) {
    const u64 q = (u64{1} << bits) - 1;
    for (std::size_t n : {std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{129}}) {
      const std::string text = "q = 2^" + std::to_string(bits) + " - 1, n = " + std::to_string(n);
      std::vector<u64> values(n);
      for (u64& v : values) v = stream.below(q);
      values.back() = q - 1;
      Blob bytes;
      codec::pack(bytes, values.data(), n, q);
      CHECK(bytes.size() == codec::packed_bytes(n, q), text.c_str());
      std::vector<u64> back(n);
      codec::unpack(back.data(), bytes, n, q);
      CHECK(back == values, text.c_str());
      values[n / 2] = q;  // fits the width, but is no residue
      Blob outside;
      codec::pack(outside, values.data(), n, q);
      CHECK(throws<codec::FormatError>([&] { codec::unpack(back.data(), outside, n, q); }), text.c_str());
      if (n * static_cast<std::size_t>(bits) % 8 != 0) {
        Blob padded = bytes;
        padded.back() |= 0x80;
        CHECK(throws<codec::FormatError>([&] { codec::unpack(back.data(), padded, n, q); }), text.c_str());
      }
      bytes.pop_back();
      CHECK(throws<codec::FormatError>([&] { codec::unpack(back.data(), bytes, n, q); }), text.c_str());
    }
  }
}

void ciphertexts(const Shape& shape) {
  const std::string text = shape.describe();
  Session owner(shape);
  const ckks::Evaluator evaluator = owner.evaluator();
  for (std::size_t level = 0; level < shape.data; ++level) {
    const ckks::Ciphertext fresh = owner.encrypt(owner.values(), level, 1 << 15);  // its square fits level 0
    const ckks::Ciphertext sum = evaluator.add(fresh, fresh);
    const ckks::Ciphertext product = evaluator.multiply_raw(fresh, sum);
    for (const ckks::Ciphertext* object : {&fresh, &sum, &product}) {
      const Blob bytes = codec::dump_ciphertext(*object, owner.context);
      CHECK(bytes.size() == codec::ciphertext_bytes(level, object->size(), object == &fresh, owner.context),
            text.c_str());
      const ckks::Ciphertext back = codec::load_ciphertext(bytes, owner.context, expand);
      CHECK(same_bits(back, *object) && back.body.seed == object->body.seed, text.c_str());
    }
  }
}

// A key over packed bytes is the key that they were made of, does not copy them, and keeps their owner.
void packed_key(const rlwe::SwitchingKey& key, const ckks::Context& context, const std::string& text) {
  const rlwe::KeyFamily& family = key.family(context.rlwe());
  auto bytes = std::make_shared<Blob>(codec::pack_key(key, context));
  CHECK(bytes->size() == codec::packed_key_bytes(key.level, family) && bytes->size() % 64 == 0, text.c_str());
  {
    rlwe::SwitchingKey mapped = codec::map_key(*bytes, key.level, family, bytes);
    CHECK(bytes.use_count() == 2 && mapped.words().data() > bytes->data(), text.c_str());
    CHECK(mapped.level == key.level && mapped.seed == key.seed && mapped.seeded == key.seeded, text.c_str());
    for (std::size_t d = 0; d < key.digit_count(); ++d) {
      CHECK(same_bits(mapped.a(d), key.a(d)) && same_bits(mapped.b(d), key.b(d)), text.c_str());
    }
    CHECK(throws<std::invalid_argument>([&] { mapped.set(0, key.b(0), key.a(0)); }), text.c_str());
  }
  CHECK(bytes.use_count() == 1, text.c_str());
  const std::size_t last = family.max_level();
  for (std::size_t level = 0; level <= last + 1; ++level) {
    if (level == key.level) continue;
    CHECK(throws<codec::FormatError>([&] { codec::map_key(*bytes, level, family, bytes); }), text.c_str());
  }
  bytes->pop_back();
  CHECK(throws<codec::FormatError>([&] { codec::map_key(*bytes, key.level, family, bytes); }), text.c_str());
}

void keys(const Shape& shape) {
  const std::string text = shape.describe();
  Session owner(shape);
  for (std::size_t level = 0; level < shape.data; ++level) {
    owner.make_relinearisation_key(level);
    const rlwe::SwitchingKey& key = *owner.keys.find(rlwe::kRelinearisation, level);
    const rlwe::KeyFamily& family = owner.context.rlwe().main();
    const Blob bytes = codec::dump_switching_key(key, owner.context);
    CHECK(bytes.size() == codec::switching_key_bytes(level, family), text.c_str());
    const rlwe::SwitchingKey back = codec::load_switching_key(bytes, level, family, expand);
    CHECK(back.level == level && back.seed == key.seed && back.digit_count() == key.digit_count(), text.c_str());
    for (std::size_t d = 0; d < key.digit_count(); ++d) {
      CHECK(same_bits(back.a(d), key.a(d)) && same_bits(back.b(d), key.b(d)), text.c_str());
    }
    packed_key(key, owner.context, text);
    const std::size_t other = level == 0 ? 1 : level - 1;
    CHECK(throws<std::runtime_error>([&] { codec::load_switching_key(bytes, other, family, expand); }), text.c_str());
    CHECK(throws<codec::FormatError>([&] { codec::load_switching_key(bytes, shape.data, family, expand); }),
          text.c_str());
  }
  const rlwe::PublicKey key = owner.public_key();
  const Blob bytes = codec::dump_public_key(key, owner.context);
  CHECK(bytes.size() == codec::public_key_bytes(owner.context), text.c_str());
  const rlwe::PublicKey back = codec::load_public_key(bytes, owner.context, expand);
  CHECK(same_bits(back.a, key.a) && same_bits(back.b, key.b), text.c_str());
  for (std::size_t length : {std::size_t{0}, std::size_t{31}, bytes.size() - 1}) {
    const Blob cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    CHECK(throws<codec::FormatError>([&] { codec::load_public_key(cut, owner.context, expand); }), text.c_str());
  }
}

// True if the bytes are parsed, to the object that they stand for, or refused with a FormatError. Under the sanitizers
// this also shows that nothing outside of the bytes is read.
bool parses(const Blob& bytes, const ckks::Context& context) {
  try {
    const ckks::Ciphertext read = codec::load_ciphertext(bytes, context, expand);
    return codec::dump_ciphertext(read, context) == bytes;
  } catch (const codec::FormatError&) {
    return true;
  }
}

void broken_ciphertexts() {
  const Shape shape{16, 49, 3, 1, 1};
  Session owner(shape);
  const ckks::Context& context = owner.context;
  const ckks::Ciphertext fresh = owner.encrypt(owner.values(), 2, shape.scale());
  for (const ckks::Ciphertext& object : {fresh, owner.evaluator().add(fresh, fresh)}) {
    const Blob bytes = codec::dump_ciphertext(object, context);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      const Blob cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
      CHECK(throws<codec::FormatError>([&] { codec::load_ciphertext(cut, context, expand); }),
            std::to_string(length).c_str());
    }
    Blob longer = bytes;
    longer.push_back(0);
    CHECK(throws<codec::FormatError>([&] { codec::load_ciphertext(longer, context, expand); }), "one byte more");
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        Blob changed = bytes;
        changed[at] ^= static_cast<std::uint8_t>(1 << bit);
        CHECK(parses(changed, context), ("bit " + std::to_string(bit) + " of byte " + std::to_string(at)).c_str());
      }
    }
    for (int value = 0; value < 256; ++value) {
      for (std::size_t at = 0; at < 3; ++at) {
        Blob changed = bytes;
        changed[at] = static_cast<std::uint8_t>(value);
        CHECK(parses(changed, context), "a byte of the header");
      }
    }
  }
  Stream stream(2);
  for (int i = 0; i < 2000; ++i) {
    Blob noise(stream.below(600));
    for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(stream.next());
    if (noise.size() > 2 && i % 2 == 0) {
      noise[0] = static_cast<std::uint8_t>(stream.below(3));
      noise[1] = static_cast<std::uint8_t>(2 + stream.below(2));
      noise[2] = static_cast<std::uint8_t>(stream.below(2));
    }
    CHECK(parses(noise, context), "random bytes");
  }
}

}  // namespace

int main() {
  packing();
  for (const Shape& shape :
       {Shape{16, 49, 2, 1, 1}, Shape{64, 49, 4, 2, 2}, Shape{64, 60, 3, 1, 1}, Shape{64, 33, 5, 3, 2}}) {
    ciphertexts(shape);
    keys(shape);
  }
  broken_ciphertexts();
  return check::status();
}
