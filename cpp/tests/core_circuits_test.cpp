// Linear transforms and polynomials of ciphertexts are compared with their definitions in doubles.
#include "circuits/linear_transform.h"
#include "circuits/polynomial.h"
#include "core_session.h"

namespace {

using namespace session;
using hetorch::circuits::Diagonal;
using hetorch::circuits::DiagonalForm;
using hetorch::circuits::LinearTransform;

// A linear map: diagonals with their values.
struct Map {
  std::size_t period;
  std::size_t input_count;
  std::size_t output_count;
  bool complex = false;  // true if the values have imaginary parts
  std::vector<std::vector<double>> values{};
  std::vector<Diagonal> diagonals{};

  const double* draw(Stream& stream) {
    std::vector<double> diagonal(period);
    for (double& v : diagonal) v = std::ldexp(static_cast<double>(stream.below(u64{1} << 53)), -52) - 1;
    values.push_back(std::move(diagonal));
    return values.back().data();
  }

  void add(std::size_t output, std::size_t input, std::size_t giant, std::size_t baby, Stream& stream) {
    const double* real = draw(stream);
    diagonals.push_back({output, input, giant, baby, real, complex ? draw(stream) : nullptr});
  }

  std::vector<Values> apply(const std::vector<Values>& inputs, std::size_t slots) const {
    std::vector<Values> result(output_count, Values(slots));
    for (const Diagonal& d : diagonals) {
      for (std::size_t s = 0; s < slots; ++s) {
        const ckks::Complex value{d.values[s % period], complex ? d.imaginary[s % period] : 0.0};
        result[d.output][s] += value * inputs[d.input][(s + d.giant + d.baby) % slots];
      }
    }
    return result;
  }
};

void check_map(const Shape& shape, const Map& map, std::size_t level) {
  const std::string text = shape.describe() + " level " + std::to_string(level) + " period " +
                           std::to_string(map.period) + " diagonals " + std::to_string(map.diagonals.size());
  Session owner(shape);
  // The keys are of the last family of the shape.
  const rlwe::Context& context = owner.context.rlwe();
  const rlwe::KeyFamily& family = shape.others.empty() ? context.main() : context.family(shape.others.back());
  const auto make_key = [&](std::size_t steps, std::size_t reach) {
    if (steps == 0) return;
    owner.make_galois_key(owner.evaluator().galois_element(static_cast<std::int64_t>(steps)), reach, family);
  };
  for (const Diagonal& d : map.diagonals) {
    // The keys of baby steps reach above the level; those of giant steps end at it.
    make_key(d.baby, shape.data - 1);
    make_key(d.giant, level);
  }
  const double scale = shape.scale();
  const double output_scale = 0.9 * scale;
  const LinearTransform transform(owner.context, map.diagonals, map.period, map.input_count, map.output_count, level,
                                  scale, output_scale, DiagonalForm::transformed, family);
  std::vector<Values> inputs;
  std::vector<ckks::Ciphertext> ciphertexts;
  for (std::size_t i = 0; i < map.input_count; ++i) {
    inputs.push_back(owner.values());
    ciphertexts.push_back(owner.encrypt(inputs.back(), level, scale));
  }
  std::vector<const ckks::Ciphertext*> pointers;
  for (const ckks::Ciphertext& c : ciphertexts) pointers.push_back(&c);
  const std::vector<ckks::Ciphertext> outputs = transform.apply(owner.evaluator(), pointers);
  const LinearTransform untransformed(owner.context, map.diagonals, map.period, map.input_count, map.output_count,
                                      level, scale, output_scale, DiagonalForm::coefficients, family);
  const std::size_t kept = std::min(shape.n, std::max<std::size_t>(2 * map.period, 16));
  CHECK(untransformed.bytes() == 8 * kept * map.diagonals.size(), text.c_str());
  const std::vector<ckks::Ciphertext> same = untransformed.apply(owner.evaluator(), pointers);
  CHECK(std::ranges::equal(same, outputs, [](const auto& a, const auto& b) { return same_bits(a, b); }), text.c_str());
  const std::vector<Values> expected = map.apply(inputs, owner.slot_count());
  CHECK(outputs.size() == map.output_count, text.c_str());
  const double terms = static_cast<double>(map.diagonals.size());
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    CHECK(outputs[o].level() == level - 1 && outputs[o].scale == output_scale, text.c_str());
    // Each diagonal is below 1 (complex: sqrt(2)), switches keys at most twice, and has a rounded plaintext.
    const double size = map.complex ? std::sqrt(2.0) : 1.0;
    const double bound = 4 * size * (terms + 1) * owner.switched_bound(level, output_scale, family);
    CHECK(distance(owner.decrypt(outputs[o]), expected[o]) < bound, text.c_str());
  }
  pointers.pop_back();
  CHECK(throws<std::invalid_argument>([&] { transform.apply(owner.evaluator(), pointers); }), text.c_str());
  const ckks::Ciphertext low = owner.evaluator().drop_level(ciphertexts[0], level - 1);
  pointers.assign(map.input_count, &low);
  CHECK(throws<ckks::LevelError>([&] { transform.apply(owner.evaluator(), pointers); }), text.c_str());
  Session other({2 * shape.n, shape.bits, shape.data, shape.special, shape.digit_size});
  pointers.assign(map.input_count, &ciphertexts[0]);
  CHECK(throws<std::invalid_argument>([&] { transform.apply(other.evaluator(), pointers); }), text.c_str());
}

void transforms() {
  Stream stream(3);
  for (const Shape& shape :
       {Shape{64, 49, 2, 1, 1}, Shape{64, 49, 5, 2, 2}, Shape{64, 60, 4, 3, 3}, Shape{2048, 49, 3, 2, 2},
        Shape{64, 49, 5, 3, 3, 0, {{1, 1}, {2, 2}}}, Shape{64, 49, 3, 2, 2, 0, {{1, 1}}}}) {
    const std::size_t slots = shape.n / 2;
    for (std::size_t level : {std::size_t{1}, shape.data - 1}) {
      for (std::size_t period : {std::size_t{1}, std::size_t{8}, slots / 2, slots}) {
        Map plain{period, 1, 1, level == 1};
        plain.add(0, 0, 0, 0, stream);
        check_map(shape, plain, level);
        // Two inputs and three outputs, the last without a diagonal; outputs with and without a giant step of 0.
        Map mixed{period, 2, 3, level != 1};
        for (std::size_t giant : {std::size_t{0}, std::size_t{4}, slots - 4}) {
          for (std::size_t baby : {std::size_t{0}, std::size_t{1}, std::size_t{3}}) {
            mixed.add(0, baby % 2, giant, baby, stream);
            if (giant != 0) mixed.add(1, 1, giant, baby, stream);
          }
        }
        check_map(shape, mixed, level);
      }
    }
  }
  // More terms in a group than the kernels sum at once.
  const Shape shape{256, 49, 2, 1, 1};
  Map wide{16, 1, 1};
  for (std::size_t baby = 0; baby < 70; ++baby) wide.add(0, 0, 0, baby, stream);
  check_map(shape, wide, 1);
}

void transform_refusals() {
  Session owner({64, 49, 3, 1, 1});
  const std::vector<double> one{1.0};
  const auto prepare = [&](Diagonal d, std::size_t period, std::size_t level, double scale) {
    d.values = one.data();
    LinearTransform(owner.context, std::span(&d, 1), period, 1, 1, level, scale, scale, DiagonalForm::transformed,
                    owner.context.rlwe().main());
  };
  CHECK(throws<ckks::LevelError>([&] { prepare({}, 1, 0, 1e9); }), "level 0");
  CHECK(throws<ckks::LevelError>([&] { prepare({}, 1, 3, 1e9); }), "above the chain");
  CHECK(throws<std::invalid_argument>([&] { prepare({}, 0, 1, 1e9); }), "period 0");
  CHECK(throws<std::invalid_argument>([&] { prepare({}, 3, 1, 1e9); }), "period 3");
  CHECK(throws<std::invalid_argument>([&] { prepare({1, 0, 0, 0, nullptr}, 1, 1, 1e9); }), "output out of range");
  CHECK(throws<std::invalid_argument>([&] { prepare({0, 1, 0, 0, nullptr}, 1, 1, 1e9); }), "input out of range");
  CHECK(throws<std::invalid_argument>([&] { prepare({0, 0, 32, 0, nullptr}, 1, 1, 1e9); }), "giant out of range");
  CHECK(throws<std::invalid_argument>([&] { prepare({0, 0, 0, 32, nullptr}, 1, 1, 1e9); }), "baby out of range");
  CHECK(throws<ckks::LevelError>([&] { prepare({}, 1, 1, NAN); }), "scale NaN");
  Session bare({64, 49, 3, 0, 1});
  Diagonal rotating{0, 0, 0, 1, one.data()};
  CHECK(throws<std::invalid_argument>([&] {
          LinearTransform(bare.context, std::span(&rotating, 1), 1, 1, 1, 1, 1e9, 1e9, DiagonalForm::transformed,
                          bare.context.rlwe().main());
        }),
        "a rotation without special primes");
}

// sum_i c_i T_i(x), x in [-1, 1]
double chebyshev(const std::vector<double>& c, double x) {
  double sum = 0;
  for (std::size_t i = 0; i < c.size(); ++i) sum += c[i] * std::cos(static_cast<double>(i) * std::acos(x));
  return sum;
}

void polynomials() {
  const Shape shape{64, 49, 7, 2, 2};
  Session owner(shape);
  owner.make_relinearisation_key(shape.data - 1);
  const ckks::Evaluator evaluator = owner.evaluator();
  // The scale of T_2i is the square of that of T_i over a prime, so a scale of the primes' size does not drift. Here
  // q_0 is no larger than the other primes, so results need a smaller scale.
  const double scale = owner.context.prime(shape.data - 1);
  const double output_scale = std::ldexp(1.0, 30);
  Values x = owner.values();
  for (ckks::Complex& v : x) v = v.real();
  const ckks::Ciphertext input = owner.encrypt(x, shape.data - 1, scale);
  Stream stream(11);
  for (std::size_t degree : {1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 63}) {
    for (int kind = 0; kind < 4; ++kind) {  // all terms, odd ones, the last alone, a constant
      std::vector<double> c(degree + 1);
      for (std::size_t i = 0; i <= degree; ++i) {
        const bool used = kind == 0 || (kind == 1 && i % 2 == 1) || (kind == 2 && i == degree) || (kind == 3 && i == 0);
        if (used) c[i] = std::ldexp(static_cast<double>(stream.below(u64{1} << 53)), -52) - 1;
      }
      const std::string text = "degree " + std::to_string(degree) + " kind " + std::to_string(kind);
      const ckks::Ciphertext result = hetorch::circuits::evaluate_chebyshev(evaluator, input, c, output_scale);
      Values expected(x.size());
      for (std::size_t j = 0; j < x.size(); ++j) expected[j] = chebyshev(c, x[j].real());
      const std::size_t depth = hetorch::circuits::polynomial_depth(degree);
      CHECK(result.level() == shape.data - 1 - depth && result.scale == output_scale, text.c_str());
      // |T_k'| <= k^2, and k + 1 terms.
      const double terms = static_cast<double>(degree + 1);
      const double bound = terms * terms * terms * owner.switched_bound(shape.data - 1, output_scale);
      CHECK(distance(owner.decrypt(result), expected) < bound, text.c_str());
    }
  }
  const auto evaluate = [&](const std::vector<double>& c, const ckks::Ciphertext& at, double target) {
    hetorch::circuits::evaluate_chebyshev(evaluator, at, c, target);
  };
  CHECK(throws<std::invalid_argument>([&] { evaluate({1.0}, input, output_scale); }), "degree 0");
  CHECK(throws<std::invalid_argument>([&] { evaluate({1.0, NAN}, input, output_scale); }), "NaN");
  CHECK(throws<ckks::LevelError>([&] { evaluate({1.0, 1.0}, input, 0.0); }), "scale 0");
  CHECK(throws<ckks::LevelError>([&] { evaluate({1.0, 1e300}, input, output_scale); }), "a value that does not fit");
  const ckks::Ciphertext low = evaluator.drop_level(input, 1);
  CHECK(throws<ckks::LevelError>([&] { evaluate({1.0, 1.0, 1.0}, low, output_scale); }), "too few levels");
  for (double constant : {HUGE_VAL, -HUGE_VAL, static_cast<double>(NAN), 1e308}) {  // 1e308 * scale is infinite too
    CHECK(throws<ckks::LevelError>([&] { evaluator.add(input, constant); }), "constant to add");
    CHECK(throws<ckks::LevelError>([&] { evaluator.multiply(input, constant, input.scale); }), "constant factor");
  }
}

}  // namespace

int main() {
  transforms();
  transform_refusals();
  polynomials();
  return check::status();
}
