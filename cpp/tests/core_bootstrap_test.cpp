// Bootstrapping on a tiny ring: the values, and each stage on its own. The Python tests have the exact oracles.
#include <numbers>

#include "circuits/bootstrap.h"
#include "codec/objects.h"
#include "core_session.h"

namespace {

using namespace session;
namespace codec = hetorch::codec;
using hetorch::circuits::Bootstrap;
using hetorch::circuits::BootstrapShape;
using hetorch::circuits::KeyNeed;
using rlwe::KeyEnd;

constexpr std::size_t kWeight = 8;

// The series of cos(2 pi u / 2) / sqrt(2 pi), u in [-range, range], by interpolation at the nodes of T_16.
std::vector<double> cosine(double range, double amplitude) {
  constexpr std::size_t kCount = 16;
  std::vector<double> result(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < kCount; ++k) {
      const double angle = std::numbers::pi * (static_cast<double>(k) + 0.5) / kCount;
      const double u = range * std::sqrt((1 + std::cos(angle)) / 2);  // w = 2 (u / range)^2 - 1 = cos(angle)
      sum += amplitude * std::cos(std::numbers::pi * u) * std::cos(static_cast<double>(i) * angle);
    }
    result[i] = sum * (i == 0 ? 1.0 : 2.0) / kCount;
  }
  return result;
}

// The keys of a bootstrap, with a new sparse secret.
void make_keys(Session& owner, const Bootstrap& bootstrap, std::size_t spacing) {
  const rlwe::Context& context = owner.context.rlwe();
  const rlwe::SecretKey sparse(context, bytes_of(5, 0, kWeight * ring::kSparseBytes),
                               rlwe::SparseShape{kWeight, spacing});
  u64 tag = 7000;
  for (const KeyNeed& need : bootstrap.keys()) {
    const rlwe::Seed seed = seed_of(++tag);
    const rlwe::KeyFamily& family = context.family(need.family);
    const auto make = [&] {
      const auto uniform = uniform_of(seed);
      const auto errors = source_of(++tag);
      if (need.name.from == KeyEnd::dense_squared)
        return rlwe::make_relinearisation_key(owner.key, need.level, seed, uniform, errors, context, family);
      if (need.name.from == KeyEnd::sparse_scaled)
        return rlwe::make_scaled_key(sparse, owner.key, need.name.element, seed, uniform, errors, context, family);
      const rlwe::SecretKey& to = need.name.to == KeyEnd::sparse ? sparse : owner.key;
      return rlwe::make_switching_key(owner.key, to, need.name.element, need.level, seed, uniform, errors, context,
                                      family);
    };
    owner.keys.add(need.name, std::make_shared<rlwe::SwitchingKey>(make()));
  }
}

// No operation but CoeffsToSlots takes a raised ciphertext, which has rows where others have none.
void raised_is_for_one_map(Session& owner, const ckks::Ciphertext& high) {
  const ckks::Evaluator evaluator = owner.evaluator();
  const std::size_t top = high.level();
  const ckks::Plaintext plain = owner.encode(owner.values(), top, high.scale);
  const ckks::Ciphertext other = owner.encrypt(owner.values(), top, high.scale);
  CHECK(throws<std::invalid_argument>([&] { evaluator.add(high, plain); }), "a plaintext");
  CHECK(throws<std::invalid_argument>([&] { evaluator.add(other, high); }), "a sum");
  CHECK(throws<std::invalid_argument>([&] { evaluator.multiply_raw(high, other); }), "a product");
  CHECK(throws<std::invalid_argument>([&] { evaluator.rescale(high); }), "a rescaling");
  CHECK(throws<std::invalid_argument>([&] { evaluator.rotate(high, 1); }), "a rotation");
  CHECK(throws<std::invalid_argument>([&] { evaluator.drop_level(high, top); }), "a level that stays");
  CHECK(throws<std::invalid_argument>([&] { codec::dump_ciphertext(high, owner.context); }), "bytes");
}

// A context of the same shape, with two primes exchanged: the result would be noise.
void other_primes(Session& owner, const Shape& shape, const Bootstrap& bootstrap,
                  const std::array<ckks::Ciphertext, 4>& stages) {
  std::vector<u64> chain = shape.chain();
  std::swap(chain[2], chain[3]);
  const ckks::Context context(shape.n, chain, shape.special_primes(), shape.digit_size, 5, shape.others);
  const ckks::Evaluator evaluator(context, &owner.keys);
  const auto& [input, low, high, slots] = stages;
  CHECK(throws<std::invalid_argument>([&] { bootstrap.apply(evaluator, input, 2); }), "a bootstrap");
  CHECK(throws<std::invalid_argument>([&] { bootstrap.to_coefficients(evaluator, input, 2); }), "SlotsToCoeffs");
  CHECK(throws<std::invalid_argument>([&] { bootstrap.raise(evaluator, low); }), "a raise");
  CHECK(throws<std::invalid_argument>([&] { bootstrap.to_slots(evaluator, high); }), "CoeffsToSlots");
  CHECK(throws<std::invalid_argument>([&] { bootstrap.reduce(evaluator, slots); }), "a reduction");
}

void bootstraps(std::size_t spacing, std::vector<std::size_t> to_coefficients, std::vector<std::size_t> to_slots) {
  // |I| is 4 at most with a weight of 8, so one doubling suffices.
  constexpr double kRange = 4.3;
  const double amplitude = std::sqrt(1 / (2 * std::numbers::pi));
  const std::size_t levels = to_coefficients.size() + to_slots.size() - 1 + 6 + 1;
  const Shape shape{256, 45, levels + 1, 5, 4, 0, {{1, 1}, {2, 2}, {5, levels + 1}}};
  Session owner(shape);
  const double scale = std::ldexp(1.0, 45);
  const std::size_t slots = owner.slot_count() / spacing;
  const BootstrapShape bootstrap_shape{.slots = slots,
                                       .to_coefficients = std::move(to_coefficients),
                                       .to_slots = std::move(to_slots),
                                       .babies_to_coefficients = 2,
                                       .babies_to_slots = 4,
                                       .input_scale = scale,
                                       .output_scale = scale,
                                       .message_ratio = 64,
                                       .series = {kRange, cosine(kRange, amplitude), 1},
                                       .low_family = {2, 2},
                                       .sparse_family = {1, 1}};
  const Bootstrap bootstrap(owner.context, bootstrap_shape);
  make_keys(owner, bootstrap, spacing);
  Values values(owner.slot_count());
  const Values drawn = owner.values();
  for (std::size_t j = 0; j < values.size(); ++j) values[j] = 2 * drawn[j % slots].real();
  // Slots of up to 2 at half the scale take the maps of slots of up to 1.
  constexpr double kBound = 2;
  const ckks::Ciphertext input = owner.encrypt(values, bootstrap.input_level(), scale / kBound);
  const ckks::Evaluator evaluator = owner.evaluator();
  const ckks::Ciphertext output = bootstrap.apply(evaluator, input, kBound);
  CHECK(output.level() == bootstrap.output_level() && output.scale == scale / kBound && output.size() == 2,
        "level and scale");
  Values expected(values.size());
  const double period = kBound * 64.0;
  for (std::size_t j = 0; j < values.size(); ++j) {
    expected[j] = std::sin(2 * std::numbers::pi * values[j].real() / period) * period / (2 * std::numbers::pi);
  }
  // A rounding in w makes N / 18^(1/2) of a slot at the scale 2^45, which the reduction multiplies by range^2 and the
  // period: 2^-27.7. Sixteen of these, and the error of the series.
  CHECK(distance(owner.decrypt(output), expected) < std::ldexp(1.0, -22), "the values");
  // The stages, one after the other, give the same bits.
  const ckks::Ciphertext low = bootstrap.to_coefficients(evaluator, input, kBound);
  const ckks::Ciphertext high = bootstrap.raise(evaluator, low);
  const ckks::Ciphertext slots_again = bootstrap.to_slots(evaluator, high);
  CHECK(same_bits(bootstrap.reduce(evaluator, slots_again, kBound), output), "stage by stage");
  CHECK(low.level() == 0 && high.body.parts[0]->limbs() == owner.context.rlwe().all_limbs(), "the raise");
  CHECK(throws<ckks::LevelError>([&] { bootstrap.raise(evaluator, input); }), "a raise from above level 0");
  CHECK(throws<ckks::LevelError>([&] { bootstrap.to_slots(evaluator, slots_again); }), "slots that were not raised");
  CHECK(throws<ckks::LevelError>([&] { bootstrap.apply(evaluator, output, kBound); }), "too high a level");
  CHECK(throws<ckks::LevelError>([&] { bootstrap.apply(evaluator, input); }), "the scale of another bound");
  CHECK(throws<std::invalid_argument>([&] { bootstrap.apply(evaluator, input, 0); }), "a bound of 0");
  other_primes(owner, shape, bootstrap, {input, low, high, slots_again});
  raised_is_for_one_map(owner, high);
  const ckks::Evaluator without(owner.context, nullptr);
  CHECK(throws<ckks::KeyMissingError>([&] { bootstrap.apply(without, input, kBound); }), "no keys");
}

void refusals() {
  Session owner({256, 45, 12, 5, 4, 0, {{1, 1}, {2, 2}, {5, 12}}});
  const auto make = [&](std::size_t slots, std::vector<std::size_t> low, std::vector<std::size_t> high, double scale) {
    Bootstrap(owner.context, {.slots = slots,
                              .to_coefficients = std::move(low),
                              .to_slots = std::move(high),
                              .input_scale = scale,
                              .output_scale = 1e9,
                              .series = {4.3, cosine(4.3, 0.4), 1},
                              .low_family = {2, 2},
                              .sparse_family = {1, 1}});
  };
  make(128, {4, 3}, {4, 3}, 1e9);
  CHECK(throws<std::invalid_argument>([&] { make(96, {4, 3}, {4, 3}, 1e9); }), "96 slots");
  CHECK(throws<std::invalid_argument>([&] { make(256, {4, 4}, {4, 4}, 1e9); }), "more slots than there are");
  CHECK(throws<std::invalid_argument>([&] { make(128, {4, 2}, {4, 3}, 1e9); }), "too few stages");
  CHECK(throws<std::invalid_argument>([&] { make(128, {4, 3}, {7}, 1e9); }), "one factor");
  CHECK(throws<std::invalid_argument>([&] { make(128, {4, 3, 0}, {4, 3}, 1e9); }), "an empty factor");
  CHECK(throws<std::invalid_argument>([&] { make(128, {4, 3}, {4, 3}, 0); }), "a scale of 0");
  CHECK(throws<ckks::LevelError>([&] { make(128, {1, 1, 1, 1, 1, 1, 1}, {4, 3}, 1e9); }), "too short a chain");
}

}  // namespace

int main() {
  bootstraps(1, {3, 2, 2}, {3, 4});
  bootstraps(4, {3, 2}, {2, 2, 1});
  refusals();
  return check::status();
}
