// Both orders of the slots are as defined.
#include <numbers>

#include "core_session.h"

namespace {

using session::ckks::Complex;

// In the order of g, slot j is the value at zeta^(g^j): compared with this definition for a polynomial with small
// coefficients.
void test_encoder(std::size_t n, std::uint64_t generator) {
  const session::Shape shape{n, 40, 1, 1, 1};
  const session::ckks::Context context(n, shape.chain(), shape.special_primes(), 1, generator);
  std::vector<double> coefficients(n);
  session::Stream stream(n + generator);
  for (double& c : coefficients) c = static_cast<double>(stream.below(2001)) - 1000;
  const auto decoded = context.encoder().decode(context.encoder().lift(coefficients, {1, 0}), 1.0);
  std::uint64_t element = 1;
  double worst = 0;
  for (std::size_t j = 0; j < n / 2; ++j) {
    Complex expected = 0;
    for (std::size_t k = 0; k < n; ++k) {
      const double angle = std::numbers::pi * static_cast<double>(element * k % (2 * n)) / static_cast<double>(n);
      expected += coefficients[k] * std::polar(1.0, angle);
    }
    worst = std::fmax(worst, std::abs(decoded[j] - expected));
    element = element * generator % (2 * n);
  }
  // n terms of at most 1000, each with a relative error of a few 2^-53.
  CHECK(worst < 1e-9 * static_cast<double>(n), ("generator " + std::to_string(generator)).c_str());
  const auto back = context.encoder().encode(decoded, 1.0, {1, 0});
  CHECK(session::same_bits(back, context.encoder().lift(coefficients, {1, 0})), "encode undoes decode");
}

}  // namespace

int main() {
  for (std::size_t n : {16, 64, 1024}) {
    for (std::uint64_t generator : {3, 5}) test_encoder(n, generator);
  }
  const session::Shape shape{64, 40, 1, 1, 1};
  for (std::uint64_t generator : {0, 1, 4, 7}) {
    CHECK(session::throws<std::invalid_argument>(
              [&] { session::ckks::Context(64, shape.chain(), shape.special_primes(), 1, generator); }),
          "a generator that is neither 3 nor 5");
  }
  return check::status();
}
