// Weighted sums of ciphertexts are compared with their definition in doubles.
#include "circuits/weighted_sums.h"
#include "core_session.h"

namespace {

using namespace session;
using hetorch::circuits::Weight;
using hetorch::circuits::WeightedSums;

struct Size {
  std::size_t inputs;
  std::size_t outputs;
  std::size_t one_in;  // on average one of this many weights is present
};

void check_sums(const Shape& shape, const Size& size, std::size_t level) {
  const std::string text = shape.describe() + " level " + std::to_string(level) + ": " + std::to_string(size.inputs) +
                           " to " + std::to_string(size.outputs) + ", one in " + std::to_string(size.one_in);
  Session owner(shape);
  Stream stream(size.inputs * 1000 + size.outputs);
  std::vector<Weight> weights;
  for (std::size_t o = 0; o + 1 < size.outputs || o == 0; ++o) {  // the last output of several has no weight
    for (std::size_t i = 0; i < size.inputs; ++i) {
      if (stream.below(size.one_in) != 0) continue;
      weights.push_back({o, i, std::ldexp(static_cast<double>(stream.below(u64{1} << 53)), -52) - 1});
    }
  }
  if (!weights.empty()) weights.push_back(weights.front());  // two weights at one place: both count
  const double scale = shape.scale();
  const double output_scale = 0.9 * scale;
  const WeightedSums sums(owner.context, weights, size.inputs, size.outputs, level, scale, output_scale);
  std::vector<Values> inputs;
  std::vector<ckks::Ciphertext> ciphertexts;
  for (std::size_t i = 0; i < size.inputs; ++i) {
    inputs.push_back(owner.values());
    ciphertexts.push_back(owner.encrypt(inputs.back(), level, scale));
  }
  std::vector<const ckks::Ciphertext*> pointers;
  for (const ckks::Ciphertext& c : ciphertexts) pointers.push_back(&c);
  std::vector<Values> expected(size.outputs, Values(owner.slot_count()));
  for (const Weight& w : weights) {
    for (std::size_t s = 0; s < owner.slot_count(); ++s) expected[w.output][s] += w.value * inputs[w.input][s];
  }
  const std::vector<ckks::Ciphertext> outputs = sums.apply(owner.evaluator(), pointers);
  CHECK(outputs.size() == size.outputs, text.c_str());
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    CHECK(outputs[o].level() == level - 1 && outputs[o].scale == output_scale, text.c_str());
    // Each weight is below 1 and rounded by at most 1/2; rescaling rounds once.
    const double bound = static_cast<double>(size.inputs + 2) * owner.switched_bound(level, output_scale);
    CHECK(distance(owner.decrypt(outputs[o]), expected[o]) < bound, text.c_str());
  }
  pointers.pop_back();
  CHECK(throws<std::invalid_argument>([&] { sums.apply(owner.evaluator(), pointers); }), text.c_str());
  pointers.push_back(nullptr);
  CHECK(throws<std::invalid_argument>([&] { sums.apply(owner.evaluator(), pointers); }), text.c_str());
  const ckks::Ciphertext low = owner.evaluator().drop_level(ciphertexts[0], level - 1);
  pointers.assign(size.inputs, &low);
  CHECK(throws<ckks::LevelError>([&] { sums.apply(owner.evaluator(), pointers); }), text.c_str());
  Session other({2 * shape.n, shape.bits, shape.data, shape.special, shape.digit_size});
  pointers.assign(size.inputs, &ciphertexts[0]);
  CHECK(throws<std::invalid_argument>([&] { sums.apply(other.evaluator(), pointers); }), text.c_str());
}

void refusals() {
  Session owner({64, 49, 3, 1, 1});
  const auto prepare = [&](const Weight& w, std::size_t level, double scale) {
    const WeightedSums sums(owner.context, std::span(&w, 1), 1, 1, level, 1e9, scale);
  };
  CHECK(throws<ckks::LevelError>([&] { prepare({}, 0, 1e9); }), "level 0");
  CHECK(throws<ckks::LevelError>([&] { prepare({}, 3, 1e9); }), "above the chain");
  CHECK(throws<std::invalid_argument>([&] { prepare({1, 0, 1.0}, 1, 1e9); }), "output out of range");
  CHECK(throws<std::invalid_argument>([&] { prepare({0, 1, 1.0}, 1, 1e9); }), "input out of range");
  CHECK(throws<ckks::LevelError>([&] { prepare({0, 0, NAN}, 1, 1e9); }), "NaN");
  CHECK(throws<ckks::LevelError>([&] { prepare({0, 0, 1e308}, 1, 1e9); }), "beyond doubles");
  CHECK(throws<std::invalid_argument>([&] { WeightedSums(owner.context, {}, 0, 1, 1, 1e9, 1e9); }), "no inputs");
}

// Encoded weights far above the primes are reduced, not truncated.
void large_weights() {
  const Shape shape{64, 49, 4, 1, 1};
  Session owner(shape);
  const double scale = shape.scale();
  const Values x = owner.values();
  const ckks::Ciphertext small = owner.encrypt(x, 3, std::ldexp(scale, -20));
  const Weight w{0, 0, 1.0};
  const WeightedSums sums(owner.context, std::span(&w, 1), 1, 1, 3, small.scale, std::ldexp(scale, 10));
  const ckks::Ciphertext* pointer = &small;
  const std::vector<ckks::Ciphertext> outputs = sums.apply(owner.evaluator(), std::span(&pointer, 1));
  CHECK(distance(owner.decrypt(outputs[0]), x) < 4 * owner.switched_bound(3, small.scale), "a weight above 2^64");
}

}  // namespace

int main() {
  for (const Shape& shape : {Shape{64, 49, 3, 1, 1}, Shape{64, 60, 4, 3, 3}, Shape{2048, 49, 3, 2, 2}}) {
    for (const Size& size : {Size{1, 1, 1}, Size{3, 2, 2}, Size{70, 3, 1}, Size{130, 5, 3}}) {
      check_sums(shape, size, 1);
      check_sums(shape, size, shape.data - 1);
    }
  }
  refusals();
  large_weights();
  return check::status();
}
