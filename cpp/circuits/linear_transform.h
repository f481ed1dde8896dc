// Linear maps on slots, given by their diagonals: double-hoisted baby-step/giant-step.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ckks/evaluator.h"

namespace hetorch::circuits {

// One diagonal: y_output[s] += values[s] * x_input[s + giant + baby]. `values` has length `period`, a power of two that
// divides the slot count, and repeats.
struct Diagonal {
  std::size_t output = 0;
  std::size_t input = 0;
  std::size_t giant = 0;
  std::size_t baby = 0;
  const double* values = nullptr;
};

// Diagonals encoded at one level, at a scale such that the result has exactly `output_scale` after its rescale:
// output_scale * q_level / input_scale (Bossuat et al., eprint 2020/1203, section 3: errorless scale propagation).
class LinearTransform {
 public:
  // level >= 1 (LevelError). Thread-safe afterwards: nothing changes it.
  LinearTransform(const ckks::Context& context, std::span<const Diagonal> diagonals, std::size_t period,
                  std::size_t input_count, std::size_t output_count, std::size_t level, double input_scale,
                  double output_scale);

  // inputs: input_count ciphertexts, each at `level` and `input_scale`; the outputs are at level - 1 and
  // `output_scale`.
  std::vector<ckks::Ciphertext> apply(const ckks::Evaluator& evaluator,
                                      std::span<const ckks::Ciphertext* const> inputs) const;

  std::size_t level() const { return level_; }
  double input_scale() const { return input_scale_; }
  double output_scale() const { return output_scale_; }
  // Memory held by the encoded diagonals.
  std::size_t bytes() const;

 private:
  struct Rotated {  // one input at one baby step
    std::size_t input;
    std::size_t baby;
  };
  // A diagonal of period p is a polynomial in X^(N/2p): its transform holds 2p values, each N/2p times in a row (the
  // value at position i depends on the top log2(2p) bits of i). Only the 2p are kept for each prime.
  struct Group {  // the terms of one output and one giant step
    std::size_t output;
    std::size_t giant;
    std::vector<std::size_t> rotated;  // for each term, index into rotated_
  };
  using Pair = std::array<ring::NttPoly, 2>;

  void check_inputs(std::span<const ckks::Ciphertext* const> inputs) const;
  // Inner sums of every group, over limbs_.
  std::vector<Pair> accumulate(const ckks::Evaluator& evaluator, std::span<const ckks::Ciphertext* const> inputs) const;
  struct Step;
  void rotate_tile(std::uint64_t* const* out, const Step& step, const Step& next, std::size_t row, std::size_t at,
                   std::size_t length, const ckks::Context& context) const;
  // Where the values of a term for the block of positions from `at` on are kept.
  std::size_t place(std::size_t row, std::size_t at, std::size_t term) const;
  // totals[output] += the sums of its groups, each rotated by its giant step; an empty total counts as zero.
  void add_giants(std::vector<std::optional<Pair>>& totals, const std::vector<Pair>& sums,
                  const ckks::Evaluator& evaluator) const;

  std::size_t ring_degree_;
  std::size_t input_count_;
  std::size_t output_count_;
  std::size_t level_;
  double input_scale_;
  double output_scale_;
  std::size_t distinct_;  // min(N, 2 * period)
  ring::Limbs limbs_;     // with the special primes, unless nothing is rotated
  std::vector<Rotated> rotated_;
  std::vector<Group> groups_;
  // All diagonals, for each row one stream as kernels::DiagonalSums reads it, terms in the order of groups: from memory
  // a stream comes faster than words from a thousand places.
  std::size_t term_count_ = 0;
  std::size_t block_words_ = 0;
  ring::Buffer values_;
};

}  // namespace hetorch::circuits
