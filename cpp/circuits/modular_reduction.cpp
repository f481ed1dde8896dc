#include "circuits/modular_reduction.h"

#include <cmath>
#include <numbers>
#include <string>

#include "circuits/polynomial.h"
#include "ckks/errors.h"

namespace hetorch::circuits {
namespace {

using ckks::Ciphertext;

// 2 x^2 - constant, with exactly `scale`.
Ciphertext doubled(const ckks::Evaluator& evaluator, const Ciphertext& x, double constant, double scale) {
  const Ciphertext square = evaluator.multiply_raw(evaluator.add(x, x), x);
  Ciphertext result = evaluator.relinearise_rescale(evaluator.add(square, -constant));
  result.scale = scale;  // exact by construction; the product of doubles may differ in its last bit
  return result;
}

}  // namespace

double CosineSeries::amplitude() const {
  return std::pow(1 / (2 * std::numbers::pi), std::ldexp(1.0, -static_cast<int>(doublings)));
}

std::size_t CosineSeries::depth() const { return 1 + polynomial_depth(coefficients.size() - 1) + doublings; }

ModularReduction::ModularReduction(const ckks::Context& context, const CosineSeries& series, std::size_t level,
                                   double output_scale)
    : series_(series), level_(level), scales_(series.doublings + 1) {
  if (series.coefficients.size() < 2) throw std::invalid_argument("a cosine needs a series of degree 1 or more");
  if (!(series.range > 0) || !std::isfinite(series.range)) throw std::invalid_argument("a range is above 0");
  if (level > context.max_level() || level < series.depth()) {
    throw ckks::LevelError("the modular reduction takes " + std::to_string(series.depth()) + " levels, from level " +
                           std::to_string(level) + " of " + std::to_string(context.max_level()));
  }
  std::size_t below = output_level();
  scales_.back() = output_scale;
  // A doubling at level l takes the scale S to S^2 / q_l.
  for (std::size_t i = series.doublings; i-- > 0;) scales_[i] = std::sqrt(scales_[i + 1] * context.prime(++below));
  input_scale_ = std::sqrt(context.prime(level) * context.prime(level - 1));
}

Ciphertext ModularReduction::apply(const ckks::Evaluator& evaluator, const Ciphertext& x) const {
  if (x.level() != level_ || x.size() != 2 ||
      std::fabs(x.scale - input_scale_) > ckks::kScaleTolerance * input_scale_) {
    throw ckks::LevelError("the modular reduction was prepared for level " + std::to_string(level_) + " and scale 2^" +
                           std::to_string(std::log2(input_scale_)) + ", the input is at level " +
                           std::to_string(x.level()) + " and scale 2^" + std::to_string(std::log2(x.scale)));
  }
  const double prime = evaluator.context().prime(level_);
  const Ciphertext shifted = evaluator.add(x, -0.25 / series_.range);
  const Ciphertext w = doubled(evaluator, shifted, 1.0, input_scale_ * input_scale_ / prime);
  Ciphertext z = evaluate_chebyshev(evaluator, w, series_.coefficients, scales_[0]);
  double amplitude = series_.amplitude();
  for (std::size_t i = 1; i < scales_.size(); ++i) {
    amplitude *= amplitude;
    z = doubled(evaluator, z, amplitude, scales_[i]);
  }
  return z;
}

}  // namespace hetorch::circuits
