// Sums of products in one pass, and encryption with a public key over the special primes, against their definition.
#include "ckks/sums.h"
#include "core_session.h"

namespace {

using namespace session;

std::vector<const ckks::Ciphertext*> refs(const std::vector<ckks::Ciphertext>& cts) {
  std::vector<const ckks::Ciphertext*> result;
  for (const ckks::Ciphertext& ct : cts) result.push_back(&ct);
  return result;
}

void test_sums(const Shape& shape, std::size_t count, std::size_t period) {
  const std::string text = shape.describe() + " count " + std::to_string(count) + " period " + std::to_string(period);
  Session owner(shape);
  const ckks::Evaluator evaluator = owner.evaluator();
  const std::size_t top = owner.context.max_level();
  const double scale = shape.scale();
  Stream stream(count * 1000 + period);
  std::vector<Values> left, right;
  std::vector<ckks::Ciphertext> a, b;
  std::vector<double> values, weights;
  for (std::size_t i = 0; i < count; ++i) {
    left.push_back(owner.values());
    right.push_back(owner.values());
    // One of the operands has a level less: the sum follows the lowest.
    a.push_back(owner.encrypt(left[i], i == 0 && count > 1 ? top - 1 : top, scale));
    b.push_back(owner.encrypt(right[i], top, scale));
    auto draw = [&] { return std::ldexp(static_cast<double>(stream.below(u64{1} << 53)), -52) - 1; };
    weights.push_back(draw());
    for (std::size_t j = 0; j < period; ++j) values.push_back(draw());
  }
  const std::size_t slots = owner.slot_count();
  Values by_values(slots), by_weights(slots), products(slots), shifted(slots);
  for (std::size_t j = 0; j < slots; ++j) {
    for (std::size_t i = 0; i < count; ++i) {
      by_values[j] += left[i][j] * values[i * period + j % period];
      by_weights[j] += left[i][j] * weights[i];
      products[j] += left[i][j] * right[i][j];
    }
    shifted[j] = left[0][j] + values[j % period];
  }
  const std::size_t lowest = count > 1 ? top - 1 : top;
  // Values below 1.5 with the fresh error of a ciphertext, and an encoding error no larger, for each product.
  const double bound = 4 * static_cast<double>(count) * owner.fresh_bound(scale);
  const ckks::Ciphertext first = ckks::sum_of_values(evaluator, refs(a), values, period, scale);
  CHECK(first.level() == lowest && first.size() == 2 && first.scale == scale * scale, text.c_str());
  CHECK(distance(owner.decrypt(first), by_values) < bound, text.c_str());
  const ckks::Ciphertext second = ckks::sum_of_weights(evaluator, refs(a), weights, scale);
  CHECK(second.level() == lowest && second.scale == scale * scale, text.c_str());
  CHECK(distance(owner.decrypt(second), by_weights) < bound, text.c_str());
  const ckks::Ciphertext third = ckks::sum_of_products(evaluator, refs(a), refs(b));
  CHECK(third.level() == lowest && third.size() == 3 && third.scale == scale * scale, text.c_str());
  CHECK(distance(owner.decrypt(third), products) < bound, text.c_str());
  const ckks::Ciphertext fourth = ckks::add_values(evaluator, a[0], std::span(values).first(period));
  CHECK(fourth.level() == a[0].level() && fourth.scale == scale, text.c_str());
  CHECK(distance(owner.decrypt(fourth), shifted) < bound, text.c_str());

  CHECK(throws<std::invalid_argument>([&] { ckks::sum_of_values(evaluator, {}, {}, period, scale); }), text.c_str());
  CHECK(throws<std::invalid_argument>([&] { ckks::sum_of_values(evaluator, refs(a), values, period + 1, scale); }),
        text.c_str());
  CHECK(throws<std::invalid_argument>([&] { ckks::add_values(evaluator, a[0], std::span(values).first(0)); }),
        text.c_str());
  CHECK(throws<ckks::LevelError>([&] { ckks::sum_of_weights(evaluator, refs(a), weights, 1e300); }), text.c_str());
  std::vector<double> huge(count, INFINITY);
  CHECK(throws<ckks::LevelError>([&] { ckks::sum_of_weights(evaluator, refs(a), huge, scale); }), text.c_str());
  huge.pop_back();
  CHECK(throws<std::invalid_argument>([&] { ckks::sum_of_weights(evaluator, refs(a), huge, scale); }), text.c_str());
  const std::vector<ckks::Ciphertext> mixed{a[0], owner.encrypt(left[0], top, 2 * scale)};
  CHECK(throws<ckks::LevelError>([&] { ckks::sum_of_products(evaluator, refs(mixed), refs(mixed)); }), text.c_str());
  // Factors of several lengths, of which the longest do not meet: x 1 + 1 x, where 1 has a third part of zeros.
  const Values ones(slots, 1.0);
  ckks::Ciphertext padded = owner.encrypt(ones, lowest, scale);
  ring::NttPoly zeros(owner.context.basis().n(), {lowest + 1, 0});
  zeros.clear();
  padded.body.parts.emplace_back(std::move(zeros));
  const ckks::Ciphertext& x = a[0];
  const ckks::Ciphertext* const left_factors[] = {&x, &padded};
  const ckks::Ciphertext* const right_factors[] = {&padded, &x};
  const ckks::Ciphertext twice = ckks::sum_of_products(evaluator, left_factors, right_factors);
  Values doubled(slots);
  for (std::size_t j = 0; j < slots; ++j) doubled[j] = 2.0 * left[0][j];
  CHECK(twice.size() == 5 && distance(owner.decrypt(twice), doubled) < 8 * owner.fresh_bound(scale), text.c_str());
  std::vector<ckks::Ciphertext> many{third};
  many[0].scale = 1;
  many[0].body.parts.resize(ckks::kMostParts / 2, many[0].body.parts[0]);
  CHECK(ckks::sum_of_products(evaluator, refs(many), refs(many)).size() == ckks::kMostParts - 1, text.c_str());
  many[0].body.parts.resize(ckks::kMostParts / 2 + 1, many[0].body.parts[0]);
  CHECK(throws<ckks::LevelError>([&] { ckks::sum_of_products(evaluator, refs(many), refs(many)); }), text.c_str());
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
    // Two roundings, one times s (2N/3), and the noise e + e_0 + e_1 s of standard deviation 3.19 sqrt(4N/3) over P.
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
