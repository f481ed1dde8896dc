// A matrix of numbers times a vector of ciphertexts, without rotations: a linear layer in which each ciphertext holds
// one feature of all samples of a batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ckks/evaluator.h"

namespace hetorch::circuits {

// One entry of the matrix: y_output += value * x_input.
struct Weight {
  std::size_t output = 0;
  std::size_t input = 0;
  double value = 0;
};

// A sparse matrix of weights, encoded at one level as integers with the scale output_scale * q_level / input_scale, so
// that the result has exactly `output_scale` after it is rescaled. Immutable, so threads may share it.
class WeightedSums {
 public:
  // Encode the weights. Throws LevelError unless level is 1 to the highest level and the weights times their scale are
  // finite, and std::invalid_argument for an index out of range or no inputs or outputs.
  WeightedSums(const ckks::Context& context, std::span<const Weight> weights, std::size_t input_count,
               std::size_t output_count, std::size_t level, double input_scale, double output_scale);

  // Multiply the matrix by input_count ciphertexts of two parts, each at `level` and `input_scale`. The outputs are at
  // level - 1 and `output_scale`; one without weights is zero. Throws LevelError, and std::invalid_argument for another
  // number of inputs or other parameters.
  std::vector<ckks::Ciphertext> apply(const ckks::Evaluator& evaluator,
                                      std::span<const ckks::Ciphertext* const> inputs) const;

  std::size_t level() const { return level_; }
  // Memory in bytes that the weights take.
  std::size_t bytes() const;

 private:
  using Pair = std::array<ring::NttPoly, 2>;

  // The weights of one output for the inputs of one tile: [begin, end) in columns_ and in residues_ of each prime.
  struct Run {
    std::size_t output;
    std::size_t begin;
    std::size_t end;
  };
  // The weights for at most kTileInputs consecutive inputs: so few that a span of words of each of them stays in the
  // first-level cache.
  struct Tile {
    std::vector<Run> runs;
  };

  void check_inputs(const ckks::Evaluator& evaluator, std::span<const ckks::Ciphertext* const> inputs) const;
  // Compute words [begin, begin + length) of row `row` in half `half` of every output.
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
