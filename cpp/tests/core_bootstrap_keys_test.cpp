// Bootstrapping as a server does it: with keys in mapped bytes, for many callers at once, with rows that threads share,
// and after a map whose diagonals are multiplied in pairs.
#include <map>
#include <thread>

#include "codec/objects.h"
#include "codec/packed_keys.h"
#include "core_bootstrap_session.h"

namespace {

using namespace session;
namespace codec = hetorch::codec;
using hetorch::circuits::Diagonal;
using hetorch::circuits::DiagonalForm;
using hetorch::circuits::LinearTransform;
using Blob = std::vector<std::uint8_t>;

ckks::Ciphertext encrypted(BootstrapCase& test, const Values& values) {
  return test.owner.encrypt(values, test.bootstrap.input_level(), kScale / kBound);
}

// All keys one after the other in one block of memory, as a server has them in a file, and then mapped.
rlwe::EvaluationKeys mapped_keys(const BootstrapCase& test) {
  const ckks::Context& context = test.owner.context;
  Blob all;
  std::map<std::pair<rlwe::KeyName, rlwe::KeyShape>, std::pair<std::size_t, std::size_t>> places;
  for (const auto& [name, key] : test.owner.keys.all()) {
    const Blob one = codec::pack_key(*key, context);
    places[name] = {all.size(), one.size()};
    all.insert(all.end(), one.begin(), one.end());
  }
  // Not the memory of the vector, behind which there may be more.
  const std::shared_ptr<std::uint8_t[]> file(new std::uint8_t[all.size()]);
  std::copy(all.begin(), all.end(), file.get());
  rlwe::EvaluationKeys result;
  for (const auto& [name, key] : test.owner.keys.all()) {
    const auto [begin, size] = places.at(name);
    const codec::ByteView bytes(file.get() + begin, size);
    result.add(name.first, std::make_shared<rlwe::SwitchingKey>(
                               codec::map_key(bytes, key->level, key->family(context.rlwe()), file)));
  }
  return result;
}

bool same_key(const rlwe::SwitchingKey& a, const rlwe::SwitchingKey& b) {
  return a.level == b.level && a.seed == b.seed && a.shape() == b.shape() && std::ranges::equal(a.words(), b.words());
}

// Keys of all families, of one digit too, come back from their bytes, and bootstrap from where they are mapped.
void keys_in_bytes() {
  BootstrapCase test(256, 1, {3, 2, 2}, {3, 4});
  const ckks::Context& context = test.owner.context;
  for (const auto& [name, key] : test.owner.keys.all()) {
    const rlwe::KeyFamily& family = key->family(context.rlwe());
    const Blob sent = codec::dump_switching_key(*key, context);
    CHECK(sent.size() == codec::switching_key_bytes(key->level, family), "the size of a key");
    CHECK(same_key(codec::load_switching_key(sent, key->level, family, expand), *key), "a key that was sent");
    const Blob packed = codec::pack_key(*key, context);
    for (std::size_t length : {std::size_t{0}, std::size_t{1}, packed.size() / 2, packed.size() - 1}) {
      const Blob cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(length));
      CHECK(throws<codec::FormatError>([&] { codec::map_key(cut, key->level, family, nullptr); }), "a packed key, cut");
      const Blob part(sent.begin(), sent.begin() + static_cast<std::ptrdiff_t>(std::min(length, sent.size() - 1)));
      CHECK(throws<codec::FormatError>([&] { codec::load_switching_key(part, key->level, family, expand); }),
            "a key, cut");
    }
    for (const rlwe::KeyShape& shape : test.shape.others) {
      if (shape == key->shape()) continue;
      const rlwe::KeyFamily& other = context.rlwe().family(shape);
      CHECK(throws<codec::FormatError>([&] { codec::map_key(packed, key->level, other, nullptr); }), "another family");
    }
  }
  const ckks::Ciphertext input = encrypted(test, test.values());
  const rlwe::EvaluationKeys mapped = mapped_keys(test);
  const ckks::Evaluator evaluator(context, &mapped);
  CHECK(same_bits(test.bootstrap.apply(evaluator, input, kBound),
                  test.bootstrap.apply(test.owner.evaluator(), input, kBound)),
        "mapped keys");
}

// Residues that are not below their primes are no keys, but nothing outside of the bytes is read and nothing hangs.
void any_words_are_a_key() {
  BootstrapCase test(256, 4, {3, 2}, {2, 2, 1});
  const ckks::Ciphertext input = encrypted(test, test.values());
  const ckks::Context& context = test.owner.context;
  rlwe::EvaluationKeys keys;
  for (const auto& [name, key] : test.owner.keys.all()) {
    const auto bytes = std::make_shared<Blob>(codec::pack_key(*key, context));
    std::fill(bytes->begin() + 64, bytes->end(), std::uint8_t{0xff});
    keys.add(name.first, std::make_shared<rlwe::SwitchingKey>(
                             codec::map_key(*bytes, key->level, key->family(context.rlwe()), bytes)));
  }
  const ckks::Evaluator evaluator(context, &keys);
  CHECK(test.bootstrap.apply(evaluator, input, kBound).level() == test.bootstrap.output_level(), "any words");
}

// Many callers share the maps, the keys and a context whose permutations are computed at their first use.
void many_callers() {
  constexpr std::size_t kCallers = 3;
  BootstrapCase test(256, 4, {3, 2}, {2, 2, 1});
  const ckks::Ciphertext input = encrypted(test, test.values());
  const Session cold(test.shape);
  const ckks::Evaluator evaluator(cold.context, &test.owner.keys);
  std::vector<ckks::Ciphertext> results(kCallers);
  std::vector<std::thread> threads;
  for (ckks::Ciphertext& result : results) {
    threads.emplace_back([&] { result = test.bootstrap.apply(evaluator, input, kBound); });
  }
  for (std::thread& thread : threads) thread.join();
  const ckks::Ciphertext expected = test.bootstrap.apply(test.owner.evaluator(), input, kBound);
  for (const ckks::Ciphertext& result : results) CHECK(same_bits(result, expected), "the bits of one caller");
}

// From this ring on, threads share the rows of a polynomial in element-wise work (ring::kSharedWords), and the tiles of
// a map (baby_steps.cpp).
void shared_rows() {
  BootstrapCase test(8192, 16, {3, 3, 2}, {4, 4});
  const Values values = test.values();
  const ckks::Ciphertext output = test.bootstrap.apply(test.owner.evaluator(), encrypted(test, values), kBound);
  CHECK(distance(test.owner.decrypt(output), test.expected(values)) < test.error_bound(), "rows that are shared");
}

// Re((d - i e) z) = d x + e rotate(x, pair) for z = x + i rotate(x, pair): one product for two real diagonals. The
// bootstrap after it drops the imaginary part. Both forms of diagonals give the same bits.
void paired_diagonals() {
  BootstrapCase test(256, 1, {3, 2, 2}, {3, 4});
  Session& owner = test.owner;
  const std::size_t slots = owner.slot_count();
  const std::size_t pair = slots / 2;
  const std::size_t level = test.bootstrap.input_level() + 1;
  const rlwe::KeyFamily& family = owner.context.rlwe().main();
  const ckks::Evaluator evaluator = owner.evaluator();
  for (std::size_t steps : {std::size_t{1}, std::size_t{2}, pair}) {
    // At the highest level, for they take the place of keys of the bootstrap.
    owner.make_galois_key(evaluator.galois_element(static_cast<std::int64_t>(steps)), owner.context.max_level(),
                          family);
  }
  const double scale = kScale / kBound;
  const Values x = test.values();
  const ckks::Ciphertext input = owner.encrypt(x, level, scale);
  const ckks::Plaintext unit = owner.encode(Values(slots, ckks::Complex(0, 1)), level, 1);
  const ckks::Ciphertext z =
      evaluator.add(input, evaluator.multiply(evaluator.rotate(input, static_cast<std::int64_t>(pair)), unit));

  std::vector<std::vector<double>> parts;
  std::vector<Diagonal> diagonals;
  Values expected(slots);
  for (std::size_t t = 0; t < 4; ++t) {
    for (int part = 0; part < 2; ++part) {
      std::vector<double>& values = parts.emplace_back();
      for (const ckks::Complex& v : owner.values()) values.push_back(v.real() / 8);
    }
    const std::size_t giant = t / 2 * 2;
    const std::size_t baby = t % 2;
    for (std::size_t s = 0; s < slots; ++s) {
      const std::size_t from = s + giant + baby;
      expected[s] += parts[2 * t][s] * x[from % slots] - parts[2 * t + 1][s] * x[(from + pair) % slots];
    }
    diagonals.push_back({0, 0, giant, baby, nullptr, nullptr});
  }
  for (std::size_t t = 0; t < 4; ++t) {
    diagonals[t].values = parts[2 * t].data();
    diagonals[t].imaginary = parts[2 * t + 1].data();
  }
  const auto apply = [&](DiagonalForm form) {
    const LinearTransform map(owner.context, diagonals, slots, 1, 1, level, scale, scale, form, family);
    const ckks::Ciphertext* const inputs[] = {&z};
    return map.apply(evaluator, inputs)[0];
  };
  const ckks::Ciphertext result = apply(DiagonalForm::transformed);
  CHECK(same_bits(result, apply(DiagonalForm::coefficients)), "both forms");
  Values real = owner.decrypt(result);
  double imaginary = 0;
  for (ckks::Complex& v : real) {
    imaginary = std::fmax(imaginary, std::fabs(v.imag()));
    v = v.real();
  }
  // Four products with numbers of up to kBound, each of a key switch, and two more switches before and after them.
  CHECK(distance(real, expected) < 16 * owner.switched_bound(level, scale, family), "the real part");
  CHECK(imaginary > 0.1, "the imaginary part");
  CHECK(distance(owner.decrypt(test.bootstrap.apply(evaluator, result, kBound)), test.expected(expected)) <
            test.error_bound(),
        "the bootstrap after it");
}

// A map of a raised polynomial takes one digit, no giant steps and the scale that it was made for.
void raised_refusals() {
  BootstrapCase test(256, 4, {3, 2}, {2, 2, 1});
  const ckks::Context& context = test.owner.context;
  const ckks::Evaluator evaluator = test.owner.evaluator();
  const rlwe::KeyFamily& one_digit = context.rlwe().family(test.shape.others.back());
  const std::vector<double> one{1.0};
  const auto make = [&](std::size_t giant, std::size_t baby, const rlwe::KeyFamily& family) {
    const Diagonal diagonal{0, 0, giant, baby, one.data()};
    return LinearTransform::of_raised(context, std::span(&diagonal, 1), 1, 2 * kScale, family);
  };
  CHECK(throws<std::invalid_argument>([&] { make(0, 0, context.rlwe().main()); }), "more digits");
  CHECK(throws<std::invalid_argument>([&] { make(0, 0, context.rlwe().family({2, 2})); }), "some special primes");
  CHECK(throws<std::invalid_argument>([&] { make(1, 0, one_digit); }), "a giant step");
  const Bootstrap& bootstrap = test.bootstrap;
  const ckks::Ciphertext low = bootstrap.to_coefficients(evaluator, encrypted(test, test.values()), kBound);
  const ckks::Ciphertext high = bootstrap.raise(evaluator, low);
  CHECK(throws<ckks::LevelError>([&] { make(0, 0, one_digit).apply_raised(evaluator, high); }), "another scale");
  ckks::Ciphertext relabelled = high;
  relabelled.scale = 2 * kScale;
  CHECK(throws<ckks::KeyMissingError>([&] { make(0, 77, one_digit).apply_raised(evaluator, relabelled); }), "no key");
  ckks::Ciphertext unraised = test.owner.encrypt(test.values(), context.max_level(), 2 * kScale);
  CHECK(throws<ckks::LevelError>([&] { make(0, 0, one_digit).apply_raised(evaluator, unraised); }), "not raised");
  relabelled.body.parts.pop_back();
  CHECK(throws<ckks::LevelError>([&] { make(0, 0, one_digit).apply_raised(evaluator, relabelled); }), "one part");
  Session other({512, 45, 4, 2, 2});
  CHECK(throws<std::invalid_argument>([&] { make(0, 0, one_digit).apply_raised(other.evaluator(), high); }),
        "another ring");
}

}  // namespace

int main() {
  keys_in_bytes();
  any_words_are_a_key();
  many_callers();
  shared_rows();
  paired_diagonals();
  raised_refusals();
  return check::status();
}
