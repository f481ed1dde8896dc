// Linear maps on slots, given by their diagonals, as double-hoisted baby-step/giant-step.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ckks/evaluator.h"

namespace hetorch::circuits {

// One diagonal: y_output[s] += (values[s] + i imaginary[s]) * x_input[s + giant + baby]. values and imaginary: `period`
// numbers each that repeat along the slots; the period divides the slot count. A null `imaginary` stands for zeros.
struct Diagonal {
  std::size_t output = 0;
  std::size_t input = 0;
  std::size_t giant = 0;
  std::size_t baby = 0;
  const double* values = nullptr;
  const double* imaginary = nullptr;
};

// The form in which a map keeps its diagonals. Both give the same bits.
enum class DiagonalForm {
  // Transformed: one word for each distinct value and each prime. apply() only multiplies.
  transformed,
  // Coefficients: one double, which holds an integer, for each distinct value, whatever the number of primes. apply()
  // transforms each diagonal for each prime.
  coefficients
};

// A linear map, encoded at one level. The scale of its diagonals is output_scale * q_level / input_scale, so that the
// result has exactly `output_scale` after it is rescaled (Bossuat et al., eprint 2020/1203, section 3: errorless scale
// propagation). Immutable, so threads may share it.
class LinearTransform {
 public:
  // Encode the diagonals. family: that of the Galois keys, one of the context's; the diagonals are encoded modulo its
  // special primes too. Throws LevelError unless level is 1 to the highest level and the values fit, and
  // std::invalid_argument for an index out of range.
  LinearTransform(const ckks::Context& context, std::span<const Diagonal> diagonals, std::size_t period,
                  std::size_t input_count, std::size_t output_count, std::size_t level, double input_scale,
                  double output_scale, DiagonalForm form, const rlwe::KeyFamily& family);

  // Apply the map to input_count ciphertexts, each at `level` and `input_scale`. The outputs are at level - 1 and
  // `output_scale`. Needs a Galois key for every baby and giant step (giant_steps.cpp says which). Throws LevelError,
  // KeyMissingError, and std::invalid_argument for another number of inputs or other parameters.
  std::vector<ckks::Ciphertext> apply(const ckks::Evaluator& evaluator,
                                      std::span<const ckks::Ciphertext* const> inputs) const;

  // Encode a map for a polynomial that was raised to all primes under a sparse secret (rlwe::raise), at the highest
  // level: a diagonal of step `baby`, with no giant step, takes a key of one digit (rlwe::make_scaled_key). The
  // diagonals have the last special prime as their scale, so the map keeps the scale and takes no level, and its result
  // is under the dense secret (after eprint 2025/1403, whose keys hold the plaintexts too).
  static LinearTransform of_raised(const ckks::Context& context, std::span<const Diagonal> diagonals,
                                   std::size_t period, double scale, const rlwe::KeyFamily& family);
  // Apply such a map to a ciphertext over all primes, the special ones included, at its scale. Throws as apply().
  ckks::Ciphertext apply_raised(const ckks::Evaluator& evaluator, const ckks::Ciphertext& raised) const;

  std::size_t level() const { return level_; }
  double input_scale() const { return input_scale_; }
  double output_scale() const { return output_scale_; }
  // Memory in bytes that the encoded diagonals take.
  std::size_t bytes() const;

 private:
  struct Rotated {  // one input at one baby step
    std::size_t input;
    std::size_t baby;
  };
  struct Group {  // the terms of one output and one giant step
    std::size_t output;
    std::size_t giant;
    std::vector<std::size_t> rotated;  // for each term, an index into rotated_
  };
  using Pair = std::array<ring::NttPoly, 2>;

  LinearTransform(const ckks::Context& context, std::size_t input_count, std::size_t output_count, std::size_t level,
                  double input_scale, double output_scale, DiagonalForm form, const rlwe::KeyFamily& family);
  // Collect and encode the diagonals at `scale`; the last part of construction.
  void take(const ckks::Context& context, std::span<const Diagonal> diagonals, std::size_t period, double scale);
  void check_inputs(std::span<const ckks::Ciphertext* const> inputs) const;
  // Fill rotated_ and groups_. Returns for each diagonal the number of its term, counted in the order of groups_.
  std::vector<std::size_t> collect_terms(std::span<const Diagonal> diagonals, std::size_t slots);
  void encode(const ckks::Context& context, std::span<const Diagonal> diagonals, std::span<const std::size_t> terms,
              std::size_t period, double scale);
  // The number of coefficients that are kept of a diagonal: those that can differ from zero, 16 at least.
  std::size_t kept_coefficients() const;
  // The inner sums of every group, over limbs_.
  struct Step;
  struct Steps;
  std::vector<Pair> accumulate(const std::vector<Step>& steps, const ckks::Context& context) const;
  Steps make_steps(const ckks::Evaluator& evaluator, std::span<const ckks::Ciphertext* const> inputs) const;
  void rotate_tile(std::uint64_t* const* out, const Step& step, const Step& next, std::size_t row, std::size_t at,
                   std::size_t length, const ckks::Context& context) const;
  // One row of the inner sums, for diagonals that are kept as coefficients.
  void sum_coefficients(std::vector<Pair>& sums, const std::vector<Step>& steps, std::size_t row,
                        const ckks::Context& context) const;
  // Write the kept words of `terms` transformed diagonals for positions [at, at + length) in the order of values_.
  void interleave(std::uint64_t* stream, const std::uint64_t* transformed, std::size_t terms, std::size_t at,
                  std::size_t length) const;
  // Index into values_ of the kept words of a term for the block of positions from `at` on.
  std::size_t place(std::size_t row, std::size_t at, std::size_t term) const;
  // Add to totals[output] the sums of its groups, each rotated by its giant step; an empty total counts as zero.
  void add_giants(std::vector<std::optional<Pair>>& totals, const std::vector<Pair>& sums,
                  const ckks::Evaluator& evaluator) const;

  std::size_t ring_degree_;
  std::size_t input_count_;
  std::size_t output_count_;
  std::size_t level_;
  double input_scale_;
  double output_scale_;
  rlwe::KeyShape shape_;  // of the Galois keys
  // Number of kept words of a diagonal for each prime, min(N, 2 * period): a diagonal of period p is a polynomial in
  // X^(N/2p), so its transform has 2p values, each N/2p times in a row (the value at position i depends on the top
  // log2(2p) bits of i).
  std::size_t distinct_;
  ring::Limbs limbs_;  // with the special primes, unless nothing is rotated
  std::vector<Rotated> rotated_;
  std::vector<Group> groups_;
  std::size_t term_count_ = 0;
  std::size_t block_words_ = 0;  // kept words of a term for one block of kernels::kDiagonalBlock positions
  DiagonalForm form_;
  // For DiagonalForm::coefficients: for each term, kept_coefficients() doubles, and the largest magnitude of one.
  ring::Buffer coefficients_;
  std::vector<double> largest_;
  // For DiagonalForm::transformed, the kept words of all diagonals: for each row one sequence, as kernels::DiagonalSums
  // describes it. Memory is read in sequence faster than from a thousand places.
  ring::Buffer values_;
};

}  // namespace hetorch::circuits
