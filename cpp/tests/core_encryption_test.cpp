// Encoding, encryption with either key, decryption, and their refusals.
#include "core_session.h"
#include "ring/modulus.h"

namespace {

using namespace session;

const Shape kShapes[] = {
    {16, 49, 1, 1, 1}, {64, 49, 3, 2, 2}, {64, 60, 3, 1, 1}, {1024, 36, 4, 1, 1}, {2048, 49, 6, 3, 3}};

void round_trips(const Shape& shape) {
  const std::string text = shape.describe();
  Session owner(shape);
  const rlwe::PublicKey public_key = owner.public_key();
  const double n = static_cast<double>(shape.n);
  for (std::size_t level = 0; level < shape.data; ++level) {
    const Values values = owner.values();
    const double scale = shape.scale();
    const ckks::Plaintext plaintext = owner.encode(values, level, scale);
    // Each coefficient is off by at most 1/2; doubles add about 2^-50 relative.
    CHECK(distance(owner.context.encoder().decode(plaintext.poly, scale), values) < n / scale + 1e-12, text.c_str());
    const ckks::Ciphertext fresh = owner.encrypt(values, level, scale);
    CHECK(fresh.level() == level && fresh.size() == 2 && fresh.body.seed, text.c_str());
    CHECK(distance(owner.decrypt(fresh), values) < owner.fresh_bound(scale) + 1e-12, text.c_str());
    const ckks::Ciphertext other = owner.encrypt(values, level, scale);
    CHECK(!same_bits(fresh, other), text.c_str());
    const std::vector<std::uint8_t> random =
        bytes_of(77 + level, 0, shape.n * (ring::kTernaryBytes + 2 * ring::kGaussianBytes));
    const ckks::Ciphertext by_public_key{rlwe::encrypt(plaintext.poly, public_key, random, owner.context.rlwe()),
                                         scale};
    // The noise is e_0 + e_1 s + e u; the last two terms have a variance of 2N/3 sigma^2 each.
    const double bound = 10 * std::sqrt(n) * 3.19 * std::sqrt(1 + 4 * n / 3) / scale;
    CHECK(distance(owner.decrypt(by_public_key), values) < bound, text.c_str());
  }
}

// Integers of either sign and of any size that a double can have get their exact residues.
void large_coefficients() {
  const Shape shape{64, 49, 6, 1, 1};
  Session owner(shape);
  const ring::RnsBasis& basis = owner.context.basis();
  Stream stream(8);
  for (int bits : {1, 30, 49, 50, 51, 53, 80, 99, 100, 101, 150, 200, 290}) {
    std::vector<double> coefficients(shape.n);
    for (double& c : coefficients) {
      const double mantissa = static_cast<double>(static_cast<std::int64_t>(stream.next() >> 11)) * 0x1p-53;
      c = std::nearbyint(std::ldexp(stream.below(2) == 0 ? mantissa : -mantissa, bits));
    }
    coefficients[0] = std::ldexp(1.0, bits) * (1 - 0x1p-53);
    coefficients[0] = std::nearbyint(coefficients[0]);
    coefficients[1] = -coefficients[0];
    coefficients[2] = 0;
    const ring::CoefficientPoly poly =
        ring::to_coefficients(owner.context.encoder().lift(coefficients, {shape.data, 0}), basis);
    bool same = true;
    for (std::size_t r = 0; r < shape.data; ++r) {
      for (std::size_t j = 0; j < shape.n; ++j) {
        same &= poly.row(r)[j] == ring::residue_of_real(coefficients[j], basis.prime(r));
      }
    }
    CHECK(same, ("coefficients of " + std::to_string(bits) + " bits").c_str());
    const Values values = owner.values();
    const double scale = std::ldexp(1.0, bits);
    if (bits < 30 || bits > 280) continue;
    const ckks::Plaintext plaintext = owner.encode(values, shape.data - 1, scale);
    CHECK(distance(owner.context.encoder().decode(plaintext.poly, scale), values) <
              static_cast<double>(shape.n) / scale + 1e-12,
          ("a scale of " + std::to_string(bits) + " bits").c_str());
  }
}

// Decryption with another key returns noise over the whole modulus.
void wrong_key(const Shape& shape) {
  Session owner(shape, 1);
  Session stranger(shape, 2);
  const Values values = owner.values();
  const ckks::Ciphertext ciphertext = owner.encrypt(values, shape.data - 1, shape.scale());
  CHECK(distance(stranger.decrypt(ciphertext), values) > 1, shape.describe().c_str());
}

void secret_coefficients() {
  const Shape shape{64, 49, 2, 1, 1};
  Session owner(shape);
  std::vector<std::int8_t> coefficients(shape.n);
  Stream stream(5);
  for (std::int8_t& c : coefficients) c = static_cast<std::int8_t>(static_cast<int>(stream.below(3)) - 1);
  const rlwe::SecretKey key(owner.context.rlwe(), std::span<const std::int8_t>(coefficients));
  const rlwe::Seed seed = seed_of(6);
  const ckks::Plaintext message = owner.encode(owner.values(), 1, shape.scale());
  const rlwe::Ciphertext ciphertext = rlwe::encrypt(
      message.poly, key, seed, uniform_of(seed), bytes_of(7, 0, shape.n * ring::kGaussianBytes), owner.context.rlwe());
  const ckks::Encoder& encoder = owner.context.encoder();
  const ring::NttPoly decrypted = rlwe::decrypt(ciphertext, key, owner.context.rlwe());
  CHECK(distance(encoder.decode(decrypted, shape.scale()), encoder.decode(message.poly, shape.scale())) <
            owner.fresh_bound(shape.scale()),
        "a key from coefficients");
  for (int wrong : {-128, -3, -2, 2, 3, 127}) {
    std::vector<std::int8_t> bad = coefficients;
    bad[shape.n / 2] = static_cast<std::int8_t>(wrong);
    CHECK(throws<std::invalid_argument>(
              [&] { rlwe::SecretKey(owner.context.rlwe(), std::span<const std::int8_t>(bad)); }),
          std::to_string(wrong).c_str());
  }
}

void refusals() {
  const Shape shape{64, 49, 2, 1, 1};
  Session owner(shape);
  Session wider({64, 49, 3, 1, 1});
  Session larger({128, 49, 2, 1, 1});
  const rlwe::Context& context = owner.context.rlwe();
  const rlwe::Seed seed = seed_of(1);
  const ckks::Plaintext message = owner.encode(owner.values(), 1, shape.scale());
  const std::vector<std::uint8_t> error = bytes_of(1, 0, shape.n * ring::kGaussianBytes);
  const auto encrypt = [&](const ring::NttPoly& poly, const rlwe::SecretKey& key, ring::Bytes random) {
    return rlwe::encrypt(poly, key, seed, uniform_of(seed), random, context);
  };
  CHECK(throws<std::invalid_argument>([&] { encrypt(message.poly, owner.key, ring::Bytes(error).first(8)); }),
        "too little randomness");
  CHECK(throws<std::invalid_argument>([&] { encrypt(message.poly, wider.key, error); }), "a key of a longer chain");
  CHECK(throws<std::invalid_argument>([&] { encrypt(message.poly, larger.key, error); }), "a key of a larger ring");
  const ckks::Plaintext large = larger.encode(larger.values(), 1, shape.scale());
  CHECK(throws<std::invalid_argument>([&] { encrypt(large.poly, owner.key, error); }), "a message of a larger ring");
  const ckks::Plaintext high = wider.encode(wider.values(), 2, shape.scale());
  CHECK(throws<std::invalid_argument>([&] { encrypt(high.poly, owner.key, error); }), "a message above the chain");
  const rlwe::PublicKey key = owner.public_key();
  CHECK(throws<std::invalid_argument>([&] { rlwe::encrypt(message.poly, key, error, context); }),
        "too little randomness for a public key");
  CHECK(throws<std::invalid_argument>(
            [&] { rlwe::decrypt(larger.encrypt(larger.values(), 0, 1e9).body, owner.key, context); }),
        "a ciphertext of a larger ring");
  const Values values = owner.values();
  const ckks::Encoder& encoder = owner.context.encoder();
  CHECK(throws<std::invalid_argument>([&] { encoder.encode(std::span(values).first(3), 1e9, {1, 0}); }),
        "three values");
  for (double scale : {0.0, -1.0, static_cast<double>(INFINITY), static_cast<double>(NAN), 1e300}) {
    CHECK(throws<ckks::LevelError>([&] { encoder.encode(values, scale, {1, 0}); }), std::to_string(scale).c_str());
  }
  Values infinite = values;
  infinite[1] = INFINITY;
  CHECK(throws<ckks::LevelError>([&] { encoder.encode(infinite, 1e9, {1, 0}); }), "an infinite value");
}

// A sparse key has exactly `weight` nonzero coefficients at multiples of its spacing. Over many keys each place occurs
// as often as the others, and both signs do.
void sparse_coefficients() {
  const Shape shape{64, 49, 1, 1, 1};
  Session owner(shape);
  const rlwe::Context& context = owner.context.rlwe();
  constexpr std::size_t kKeys = 2000;
  for (const auto& [weight, spacing] : {std::pair<std::size_t, std::size_t>{5, 1}, {12, 4}, {32, 2}}) {
    std::vector<double> uses(shape.n / spacing);
    double positive = 0;
    for (std::size_t k = 0; k < kKeys; ++k) {
      const rlwe::SecretKey key(context, bytes_of(100 + k, weight, weight * ring::kSparseBytes), {weight, spacing});
      const std::vector<std::int8_t> found = rlwe::coefficients(key.s(), context);
      std::size_t nonzero = 0;
      for (std::size_t j = 0; j < shape.n; ++j) {
        if (found[j] == 0) continue;
        ++nonzero;
        positive += found[j] > 0;
        CHECK(j % spacing == 0, "the spacing");
        uses[j / spacing] += 1;
      }
      CHECK(nonzero == weight && key.sparse(), "the weight");
    }
    // Each count is binomial; six standard deviations.
    const double p = static_cast<double>(weight * spacing) / static_cast<double>(shape.n);
    for (double count : uses) CHECK(std::fabs(count - kKeys * p) <= 6 * std::sqrt(kKeys * p * (1 - p)), "a place");
    const double signs = static_cast<double>(kKeys * weight);
    CHECK(std::fabs(positive - signs / 2) < 6 * std::sqrt(signs) / 2, "the signs");
  }
  const auto make = [&](std::size_t bytes, rlwe::SparseShape sparse) {
    rlwe::SecretKey(context, bytes_of(1, 0, bytes), sparse);
  };
  CHECK(throws<std::invalid_argument>([&] { make(0, {0, 1}); }), "no coefficients");
  CHECK(throws<std::invalid_argument>([&] { make(33 * ring::kSparseBytes, {33, 2}); }), "more than there are places");
  CHECK(throws<std::invalid_argument>([&] { make(ring::kSparseBytes, {1, 3}); }), "a spacing that does not divide n");
  CHECK(throws<std::invalid_argument>([&] { make(ring::kSparseBytes, {2, 1}); }), "too little randomness");
}

// Secrets are wiped before their memory goes back to the pool: the next block of that size has nothing of the key.
// Under sanitizers the pool keeps nothing.
void freed_keys_are_zero() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const Shape shape{64, 49, 5, 2, 2};
  Session owner(shape);
  auto key = std::make_unique<rlwe::SecretKey>(owner.context.rlwe(), bytes_of(9, 0, shape.n * ring::kTernaryBytes));
  const std::size_t words = key->s().words();
  const u64* where = key->s().row(0);
  key.reset();
  const ring::Buffer reused(words);
  CHECK(reused.data() == where, "the pool gives the last block back");
  CHECK(std::all_of(reused.data(), reused.data() + words, [](u64 word) { return word == 0; }), "the key's block");
#endif
}

}  // namespace

int main() {
  large_coefficients();
  for (const Shape& shape : kShapes) {
    round_trips(shape);
    wrong_key(shape);
  }
  secret_coefficients();
  refusals();
  sparse_coefficients();
  freed_keys_are_zero();
  return check::status();
}
