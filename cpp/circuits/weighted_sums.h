// Sums of ciphertexts weighted by numbers: a matrix times a vector of ciphertexts, nothing rotated. What a batch in the
// slots makes of a linear layer: each ciphertext holds one feature of every sample.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ckks/evaluator.h"

namespace hetorch::circuits {

// y_output += value * x_input
struct Weight {
  std::size_t output = 0;
  std::size_t input = 0;
  double value = 0;
};

// Weights rounded to integers at the scale output_scale * q_level / input_scale, so that the result has exactly
// `output_scale` after its rescale. A matrix of residues for each prime; weights that are not given cost nothing.
class WeightedSums {
 public:
  // level >= 1 (LevelError). LevelError too where a rounded weight is not finite. Thread-safe afterwards.
  WeightedSums(const ckks::Context& context, std::span<const Weight> weights, std::size_t input_count,
               std::size_t output_count, std::size_t level, double input_scale, double output_scale);

  // inputs: input_count ciphertexts of two parts, each at `level` and `input_scale`; the outputs are at level - 1 and
  // `output_scale`. An output without weights is zero.
  std::vector<ckks::Ciphertext> apply(const ckks::Evaluator& evaluator,
                                      std::span<const ckks::Ciphertext* const> inputs) const;

  std::size_t level() const { return level_; }
  // Memory held by the weights.
  std::size_t bytes() const;

 private:
  using Pair = std::array<ring::NttPoly, 2>;

  // The weights of one output for inputs of one tile; `weights` begins in residues_ of each prime.
  struct Run {
    std::size_t output;
    std::size_t begin;
    std::size_t end;
  };
  // At most kTileInputs consecutive inputs, of which a few hundred words at a time stay in the first-level cache.
  struct Tile {
    std::vector<Run> runs;
  };

  void check_inputs(const ckks::Evaluator& evaluator, std::span<const ckks::Ciphertext* const> inputs) const;
  // Words [begin, begin + length) of row `row` of half `half` of every output.
  void sum_words(std::vector<Pair>& outputs, std::span<const ckks::Ciphertext* const> inputs, std::size_t half,
                 std::size_t row, std::size_t begin, std::size_t length, const ckks::Context& context) const;

  std::size_t ring_degree_;
  std::size_t input_count_;
  std::size_t output_count_;
  std::size_t level_;
  double input_scale_;
  double output_scale_;
  std::vector<Tile> tiles_;
  std::vector<std::uint32_t> columns_;                // the input of each weight, in the order of the runs
  std::vector<std::vector<std::uint64_t>> residues_;  // for each data prime up to the level, in the same order
};

}  // namespace hetorch::circuits
