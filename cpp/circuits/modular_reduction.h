// Reduction of slots modulo 1, near integers: the middle of bootstrapping (EvalMod).
#pragma once

#include <vector>

#include "ckks/evaluator.h"

namespace hetorch::circuits {

// sin(2 pi y) / 2 pi, which is y - I for y near an integer I. With u = y - 1/4 it is c_d cos(2 pi u), from cos(2 pi u /
// 2^d) by d doublings of the angle: if z = c cos t then 2 z^2 - c^2 = c^2 cos 2t (Han and Ki, eprint 2019/688). The
// cosine is even, so its series in x = u / range is one in w = T_2(x) = 2 x^2 - 1.
struct CosineSeries {
  double range = 1;                  // y - 1/4 is in [-range, range]
  std::vector<double> coefficients;  // of sum_i coefficients[i] T_i(w) = amplitude * cos(2 pi u / 2^doublings)
  std::size_t doublings = 0;
  double amplitude() const;  // (1 / 2 pi)^(1 / 2^doublings), so that the last amplitude is 1 / 2 pi
  std::size_t depth() const;
};

// The scales of a reduction that starts at a level and ends with a given scale, from the last step to the first.
class ModularReduction {
 public:
  // Throws LevelError if there are too few levels.
  ModularReduction(const ckks::Context& context, const CosineSeries& series, std::size_t level, double output_scale);

  std::size_t level() const { return level_; }
  std::size_t output_level() const { return level_ - series_.depth(); }
  // The scale of the input: about that of the primes.
  double input_scale() const { return input_scale_; }

  // x: slots y / range, at level() and input_scale(). Returns sin(2 pi y) / 2 pi at exactly the output scale. Throws
  // LevelError for another level or scale, KeyMissingError.
  ckks::Ciphertext apply(const ckks::Evaluator& evaluator, const ckks::Ciphertext& x) const;

 private:
  CosineSeries series_;
  std::size_t level_;
  double input_scale_;
  std::vector<double> scales_;  // of the series, and after each doubling
};

}  // namespace hetorch::circuits
