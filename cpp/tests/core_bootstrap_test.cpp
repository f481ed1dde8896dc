// Bootstrapping on a tiny ring: the values, and each stage on its own. The Python tests have the exact oracles.
#include "codec/objects.h"
#include "core_bootstrap_session.h"

namespace {

using namespace session;
namespace codec = hetorch::codec;

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

void bootstraps(std::size_t spacing, const Radices& to_coefficients, const Radices& to_slots) {
  BootstrapCase test(256, spacing, to_coefficients, to_slots);
  Session& owner = test.owner;
  const Bootstrap& bootstrap = test.bootstrap;
  const Values values = test.values();
  const ckks::Ciphertext input = owner.encrypt(values, bootstrap.input_level(), kScale / kBound);
  const ckks::Evaluator evaluator = owner.evaluator();
  const ckks::Ciphertext output = bootstrap.apply(evaluator, input, kBound);
  CHECK(output.level() == bootstrap.output_level() && output.scale == kScale / kBound && output.size() == 2,
        "level and scale");
  CHECK(distance(owner.decrypt(output), test.expected(values)) < test.error_bound(), "the values");
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
  other_primes(owner, test.shape, bootstrap, {input, low, high, slots_again});
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
