// Sums of products, and encryption with an extended public key, are compared with their definitions.
#include "ckks/sums.h"
#include "core_session.h"

namespace {

using namespace session;

std::vector<const ckks::Ciphertext*> refs(const std::vector<ckks::Ciphertext>& cts) {
  std::vector<const ckks::Ciphertext*> result;
  for (const ckks::Ciphertext& ct : cts) result.push_back(&ct);
  return result;
}

// `count` pairs of ciphertexts with their slots, a row of `period` numbers and a weight for each.
struct Operands {
  Operands(const Shape& shape, std::size_t count, std::size_t period) : owner(shape), scale(shape.scale()) {
    const std::size_t top = owner.context.max_level();
    lowest = count > 1 ? top - 1 : top;
    Stream stream(count * 1000 + period);
    const auto draw = [&] { return std::ldexp(static_cast<double>(stream.below(u64{1} << 53)), -52) - 1; };
    for (std::size_t i = 0; i < count; ++i) {
      left.push_back(owner.values());
      right.push_back(owner.values());
      // One of several operands has a level less: the sum must have the lowest.
      a.push_back(owner.encrypt(left[i], i == 0 ? lowest : top, scale));
      b.push_back(owner.encrypt(right[i], top, scale));
      weights.push_back(draw());
      for (std::size_t j = 0; j < period; ++j) values.push_back(draw());
    }
  }
  Session owner;
  double scale;
  std::size_t lowest;
  std::vector<Values> left, right;
  std::vector<ckks::Ciphertext> a, b;
  std::vector<double> values, weights;
};

void test_definitions(const Operands& x, std::size_t period, const char* text) {
  const Session& owner = x.owner;
  const ckks::Evaluator evaluator = owner.evaluator();
  const std::size_t slots = owner.slot_count();
  const std::size_t count = x.a.size();
  Values by_values(slots), by_weights(slots), products(slots), shifted(slots);
  for (std::size_t j = 0; j < slots; ++j) {
    for (std::size_t i = 0; i < count; ++i) {
      by_values[j] += x.left[i][j] * x.values[i * period + j % period];
      by_weights[j] += x.left[i][j] * x.weights[i];
      products[j] += x.left[i][j] * x.right[i][j];
    }
    shifted[j] = x.left[0][j] + x.values[j % period];
  }
  // Values are below 1.5; each product has the fresh error of a ciphertext and an encoding error no larger.
  const double bound = 4 * static_cast<double>(count) * owner.fresh_bound(x.scale);
  const double product_scale = x.scale * x.scale;
  const ckks::Ciphertext first = ckks::sum_of_values(evaluator, refs(x.a), x.values, period, x.scale);
  CHECK(first.level() == x.lowest && first.size() == 2 && first.scale == product_scale, text);
  CHECK(distance(owner.decrypt(first), by_values) < bound, text);
  const ckks::Ciphertext second = ckks::sum_of_weights(evaluator, refs(x.a), x.weights, x.scale);
  CHECK(second.level() == x.lowest && second.scale == product_scale, text);
  CHECK(distance(owner.decrypt(second), by_weights) < bound, text);
  std::vector<double> factors;
  for (double weight : x.weights) factors.push_back(weight * x.scale);
  const auto integers = [&](std::size_t level) {
    return ckks::sum_of_integers(evaluator, refs(x.a), factors, level, product_scale);
  };
  CHECK(same_bits(integers(x.lowest), second), text);
  CHECK(same_bits(integers(1), evaluator.drop_level(second, 1)), text);
  const ckks::Ciphertext third = ckks::sum_of_products(evaluator, refs(x.a), refs(x.b));
  CHECK(third.level() == x.lowest && third.size() == 3 && third.scale == product_scale, text);
  CHECK(distance(owner.decrypt(third), products) < bound, text);
  const ckks::Ciphertext fourth = ckks::add_values(evaluator, x.a[0], std::span(x.values).first(period));
  CHECK(fourth.level() == x.a[0].level() && fourth.scale == x.scale, text);
  CHECK(distance(owner.decrypt(fourth), shifted) < bound, text);
}

void test_refusals(Operands& x, std::size_t period, const char* text) {
  const ckks::Evaluator evaluator = x.owner.evaluator();
  const auto integers = [&](std::size_t count, double factor, std::size_t level) {
    ckks::sum_of_integers(evaluator, refs(x.a), std::vector<double>(count, factor), level, 1e9);
  };
  CHECK(throws<std::invalid_argument>([&] { integers(x.a.size() + 1, 1e6, 0); }), text);
  CHECK(throws<std::invalid_argument>([&] { integers(x.a.size(), 1e6, x.lowest + 1); }), text);
  CHECK(throws<ckks::LevelError>([&] { integers(x.a.size(), INFINITY, 0); }), text);
  CHECK(throws<std::invalid_argument>([&] { ckks::sum_of_values(evaluator, {}, {}, period, x.scale); }), text);
  CHECK(
      throws<std::invalid_argument>([&] { ckks::sum_of_values(evaluator, refs(x.a), x.values, period + 1, x.scale); }),
      text);
  CHECK(throws<std::invalid_argument>([&] { ckks::add_values(evaluator, x.a[0], std::span(x.values).first(0)); }),
        text);
  CHECK(throws<ckks::LevelError>([&] { ckks::sum_of_weights(evaluator, refs(x.a), x.weights, 1e300); }), text);
  std::vector<double> huge(x.a.size(), INFINITY);
  CHECK(throws<ckks::LevelError>([&] { ckks::sum_of_weights(evaluator, refs(x.a), huge, x.scale); }), text);
  huge.pop_back();
  CHECK(throws<std::invalid_argument>([&] { ckks::sum_of_weights(evaluator, refs(x.a), huge, x.scale); }), text);
  const std::vector<ckks::Ciphertext> mixed{x.a[0],
                                            x.owner.encrypt(x.left[0], x.owner.context.max_level(), 2 * x.scale)};
  CHECK(throws<ckks::LevelError>([&] { ckks::sum_of_products(evaluator, refs(mixed), refs(mixed)); }), text);
}

void test_many_parts(Operands& x, const char* text) {
  Session& owner = x.owner;
  const ckks::Evaluator evaluator = owner.evaluator();
  const std::size_t slots = owner.slot_count();
  // The longest factors of both sides are in different terms: y 1 + 1 y, where 1 has a third part of zeros.
  const Values ones(slots, 1.0);
  ckks::Ciphertext padded = owner.encrypt(ones, x.lowest, x.scale);
  ring::NttPoly zeros(owner.context.basis().n(), {x.lowest + 1, 0});
  zeros.clear();
  padded.body.parts.emplace_back(std::move(zeros));
  const ckks::Ciphertext& y = x.a[0];
  const ckks::Ciphertext* const left_factors[] = {&y, &padded};
  const ckks::Ciphertext* const right_factors[] = {&padded, &y};
  const ckks::Ciphertext twice = ckks::sum_of_products(evaluator, left_factors, right_factors);
  Values doubled(slots);
  for (std::size_t j = 0; j < slots; ++j) doubled[j] = 2.0 * x.left[0][j];
  CHECK(twice.size() == 5 && distance(owner.decrypt(twice), doubled) < 8 * owner.fresh_bound(x.scale), text);
  std::vector<ckks::Ciphertext> many{evaluator.multiply_raw(y, y)};
  many[0].scale = 1;
  many[0].body.parts.resize(ckks::kMostParts / 2, many[0].body.parts[0]);
  CHECK(ckks::sum_of_products(evaluator, refs(many), refs(many)).size() == ckks::kMostParts - 1, text);
  many[0].body.parts.resize(ckks::kMostParts / 2 + 1, many[0].body.parts[0]);
  CHECK(throws<ckks::LevelError>([&] { ckks::sum_of_products(evaluator, refs(many), refs(many)); }), text);
}

void test_sums(const Shape& shape, std::size_t count, std::size_t period) {
  const std::string text = shape.describe() + " count " + std::to_string(count) + " period " + std::to_string(period);
  Operands operands(shape, count, period);
  test_definitions(operands, period, text.c_str());
  test_refusals(operands, period, text.c_str());
  test_many_parts(operands, text.c_str());
}

void test_extended_public_key(const Shape& shape) {
  Session owner(shape);
  const rlwe::Seed seed = seed_of(77);
  const rlwe::PublicKey key = rlwe::make_public_key(
      owner.key, seed, uniform_of(seed), bytes_of(78, 0, shape.n * ring::kGaussianBytes), owner.context.rlwe(), true);
  const double scale = shape.scale();
  for (std::size_t level = 0; level <= owner.context.max_level(); ++level) {
    const Values values = owner.values();
    const auto bytes = bytes_of(79 + level, 0, shape.n * (ring::kTernaryBytes + 2 * ring::kGaussianBytes));
    const ckks::Ciphertext sealed{
        rlwe::encrypt(owner.encode(values, level, scale).poly, key, bytes, owner.context.rlwe()), scale};
    CHECK(sealed.level() == level, shape.describe().c_str());
    // The noise: two roundings, one of them times s (2N/3), and e u + e_0 + e_1 s, of standard deviation 3.19
    // sqrt(4N/3), over P.
    const double n = static_cast<double>(shape.n);
    const double deviation =
        std::sqrt((1 + 2 * n / 3) / 12 + 1.0 / 12) + 3.19 * std::sqrt(4 * n / 3) / std::ldexp(1.0, shape.bits - 1);
    CHECK(distance(owner.decrypt(sealed), values) < 10 * std::sqrt(n) * deviation / scale, shape.describe().c_str());
  }
}

}  // namespace

int main() {
  for (const Shape& shape : {Shape{256, 40, 3, 1, 1}, Shape{256, 55, 4, 2, 2}}) {
    for (std::size_t count : {1, 3}) {
      for (std::size_t period : {1, 16, 128}) test_sums(shape, count, period);
    }
    test_extended_public_key(shape);
  }
  return check::status();
}
