// Bootstrapping: a ciphertext without levels becomes one of the same message with levels. SlotsToCoeffs comes first, so
// real slots take one modular reduction, which sees slot values and not coefficients, which are sqrt(N) times larger.
//
//   slots -> coefficients of a polynomial over q_0 -> the same under a sparse secret -> lifted to all primes, which
//   adds q_0 I with small integers I -> slots y = m + I, under the dense secret again -> reduced modulo 1 -> m
//
// The switch to a sparse secret of weight h keeps |I| near sqrt(h / 12), whatever the dense secret (Bossuat,
// Troncoso-Pastoriza, Hubaux, "Bootstrapping for approximate homomorphic encryption with negligible failure-probability
// by using sparse-secret encapsulation", eprint 2022/024).
#pragma once

#include "circuits/modular_reduction.h"
#include "circuits/slot_maps.h"

namespace hetorch::circuits {

struct BootstrapShape {
  std::size_t slots = 0;                     // a power of two; a message of fewer values repeats along the slots
  std::vector<std::size_t> to_coefficients;  // stages in each factor of SlotsToCoeffs, as embedding_factors takes them
  std::vector<std::size_t> to_slots;         // the same of CoeffsToSlots; its first factor takes no level
  std::size_t babies_to_coefficients = 4;    // baby steps of each factor
  std::size_t babies_to_slots = 4;
  // The scales of slots of at most 1. Slots of at most `bound` have these scales over `bound`: the same maps serve
  // them.
  double input_scale = 1;
  double output_scale = 1;
  double message_ratio = 256;  // q_0 over the scale at which a coefficient is that of a slot of 1
  CosineSeries series;
  rlwe::KeyShape low_family;     // of the keys of SlotsToCoeffs
  rlwe::KeyShape sparse_family;  // of the key to the sparse secret: one special prime
};

// A key that bootstrapping needs.
struct KeyNeed {
  rlwe::KeyName name;
  rlwe::KeyShape family;
  std::size_t level;
};

// The precomputation of one shape. Immutable, so threads may share it.
class Bootstrap {
 public:
  // Throws std::invalid_argument for a shape that is malformed, and LevelError if the chain is too short.
  Bootstrap(const ckks::Context& context, const BootstrapShape& shape);

  // The input is at input_level() and input_scale / bound, the output at output_level() and output_scale / bound.
  std::size_t input_level() const { return shape_.to_coefficients.size(); }
  std::size_t output_level() const { return reduction_.output_level(); }
  // The level and scale of the input of reduce().
  std::size_t reduction_level() const { return reduction_.level(); }
  double reduction_scale() const { return reduction_.input_scale(); }
  std::vector<KeyNeed> keys() const;
  // Memory in bytes that the encoded diagonals take.
  std::size_t bytes() const;

  // Bootstrap a ciphertext whose slots are real, at most `bound` in magnitude, and repeat after `slots` of them. The
  // result is bound * ratio / 2 pi * sin(2 pi m / (bound * ratio)). Throws LevelError for another level, scale or
  // number of parts, KeyMissingError, and std::invalid_argument for another ring degree or other primes, whatever their
  // number, and for a bound that is not above 0.
  ckks::Ciphertext apply(const ckks::Evaluator& evaluator, const ckks::Ciphertext& input, double bound = 1) const;

  // The stages of apply(), in this order; they throw as it does.
  // To level 0: the slots become coefficients, bit-reversed, at the scale q_0 / message_ratio.
  ckks::Ciphertext to_coefficients(const ckks::Evaluator& evaluator, const ckks::Ciphertext& input,
                                   double bound = 1) const;
  // From level 0 to all primes, the special ones included, under the sparse secret and at the scale q_0: the
  // coefficients become m + I. Only to_slots() takes such a ciphertext.
  ckks::Ciphertext raise(const ckks::Evaluator& evaluator, const ckks::Ciphertext& input) const;
  // The coefficients become slots, divided by the range of the series; only the real part remains.
  ckks::Ciphertext to_slots(const ckks::Evaluator& evaluator, const ckks::Ciphertext& input) const;
  // The modular reduction; its scale is relabelled, which multiplies by bound * ratio.
  ckks::Ciphertext reduce(const ckks::Evaluator& evaluator, const ckks::Ciphertext& input, double bound = 1) const;

 private:
  void check_primes(const ckks::Evaluator& evaluator) const;
  double low_scale() const { return q0_ / shape_.message_ratio; }
  std::uint32_t element_of(std::int64_t steps) const;  // 5^steps mod 2N, steps >= 0

  BootstrapShape shape_;
  rlwe::KeyShape main_family_;
  rlwe::KeyShape one_digit_;  // of the keys of the first factor of CoeffsToSlots
  std::size_t max_level_;
  std::vector<std::uint64_t> primes_;  // all, for which the maps are encoded
  std::size_t spacing_;                // the message lies in the subring of the polynomials in X^spacing
  double q0_;
  std::uint32_t conjugation_;
  ModularReduction reduction_;
  std::vector<MapKeys> low_keys_;
  MapKeys raised_keys_;
  std::vector<MapKeys> high_keys_;
  std::vector<LinearTransform> to_coefficients_;
  std::optional<LinearTransform> first_to_slots_;
  std::vector<LinearTransform> to_slots_;
};

}  // namespace hetorch::circuits
