#include "circuits/weighted_sums.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>

#include "ckks/errors.h"
#include "ring/modulus.h"

namespace hetorch::circuits {
namespace {

using ckks::Ciphertext;
using ckks::Context;
using ckks::LevelError;
using kernels::u64;
using ring::NttPoly;

// Inputs in a tile, the limit of the kernel weighted_sum, and words of each that are summed for all outputs before the
// next: 64 words of 64 inputs are 32 KiB, within the first-level cache.
constexpr std::size_t kTileInputs = 64;
constexpr std::size_t kWords = 64;
// Words of a row that one task works on. Raised, there are fewer tasks for the threads to share; lowered, handing them
// over takes a larger part of the time.
constexpr std::size_t kTaskWords = 1024;

// round(value) mod q for any finite double, from its mantissa and exponent.
u64 residue(double value, u64 q) {
  int exponent = 0;
  const double mantissa = std::frexp(std::nearbyint(value), &exponent);
  const auto whole = static_cast<std::int64_t>(std::ldexp(mantissa, 53));
  u64 result = static_cast<u64>(whole < 0 ? -whole : whole);
  int shift = exponent - 53;
  if (shift < 0) {  // an integer below 2^53: the low bits are zero
    result >>= -shift;
    shift = 0;
  }
  result %= q;
  for (; shift > 0; --shift) result = result * 2 % q;
  return whole < 0 && result != 0 ? q - result : result;
}

}  // namespace

WeightedSums::WeightedSums(const Context& context, std::span<const Weight> weights, std::size_t input_count,
                           std::size_t output_count, std::size_t level, double input_scale, double output_scale)
    : ring_degree_(context.basis().n()),
      input_count_(input_count),
      output_count_(output_count),
      level_(level),
      input_scale_(input_scale),
      output_scale_(output_scale) {
  if (level < 1 || level > context.max_level()) {
    throw LevelError("weighted sums are rescaled: their level is " + std::to_string(level) + ", expected 1 to " +
                     std::to_string(context.max_level()));
  }
  if (input_count == 0 || output_count == 0) throw std::invalid_argument("weighted sums need inputs and outputs");
  const double scale = output_scale * context.prime(level) / input_scale;
  for (const Weight& w : weights) {
    if (w.output >= output_count || w.input >= input_count) {
      throw std::invalid_argument("a weight has an index out of range");
    }
    if (!std::isfinite(w.value * scale)) throw LevelError("a weight times its scale is beyond the range of doubles");
  }
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) {
    return std::tuple(weights[i].input / kTileInputs, weights[i].output, weights[i].input);
  });
  tiles_.resize((input_count + kTileInputs - 1) / kTileInputs);
  for (const std::size_t i : order) {
    std::vector<Run>& runs = tiles_[weights[i].input / kTileInputs].runs;
    const std::size_t at = columns_.size();
    // A run may exceed the kernel's limit if an input occurs twice in an output.
    if (runs.empty() || runs.back().output != weights[i].output || at - runs.back().begin == kTileInputs) {
      runs.push_back({weights[i].output, at, at});
    }
    columns_.push_back(static_cast<std::uint32_t>(weights[i].input));
    runs.back().end = at + 1;
  }
  residues_.resize(level + 1);
  ring::parallel_for(level + 1, [&](std::size_t r) {
    residues_[r].reserve(order.size());
    for (const std::size_t i : order)
      residues_[r].push_back(residue(weights[i].value * scale, context.basis().prime(r)));
  });
}

std::size_t WeightedSums::bytes() const {
  return columns_.size() * (sizeof(std::uint32_t) + residues_.size() * sizeof(std::uint64_t));
}

void WeightedSums::check_inputs(const ckks::Evaluator& evaluator, std::span<const Ciphertext* const> inputs) const {
  if (evaluator.context().basis().n() != ring_degree_ || evaluator.context().max_level() < level_) {
    throw std::invalid_argument("the weighted sums were prepared under other parameters");
  }
  if (inputs.size() != input_count_) {
    throw std::invalid_argument("the weighted sums take " + std::to_string(input_count_) + " ciphertexts, got " +
                                std::to_string(inputs.size()));
  }
  for (const Ciphertext* input : inputs) {
    if (input == nullptr) throw std::invalid_argument("an input of the weighted sums is None");
    if (input->level() != level_ || input->size() != 2) {
      throw LevelError("the weighted sums were prepared for level " + std::to_string(level_) +
                       ", an input is at level " + std::to_string(input->level()) + " with " +
                       std::to_string(input->size()) + " parts");
    }
    if (std::fabs(input->scale - input_scale_) > ckks::kScaleTolerance * input_scale_) {
      throw LevelError("the weighted sums were prepared for scale 2^" + std::to_string(std::log2(input_scale_)) +
                       ", an input has 2^" + std::to_string(std::log2(input->scale)));
    }
    for (const NttPoly& part : input->body.parts) evaluator.context().rlwe().check_data(part);
  }
}

void WeightedSums::sum_words(std::vector<Pair>& outputs, std::span<const Ciphertext* const> inputs, std::size_t half,
                             std::size_t row, std::size_t begin, std::size_t length, const Context& context) const {
  const ring::RnsBasis& basis = context.basis();
  const kernels::Kernels& k = basis.kernels(row);
  const kernels::ModulusConstants& m = basis.modulus(row);
  alignas(64) u64 partial[kWords];
  std::vector<bool> begun(output_count_);
  for (const Tile& tile : tiles_) {
    for (const Run& run : tile.runs) {
      const u64* words[kTileInputs];
      const std::size_t count = run.end - run.begin;
      for (std::size_t i = 0; i < count; ++i) {
        words[i] = inputs[columns_[run.begin + i]]->body.parts[half]->row(row) + begin;
      }
      u64* out = outputs[run.output][half].row(row) + begin;
      const u64* weights = residues_[row].data() + run.begin;
      if (!begun[run.output]) {
        k.weighted_sum(out, words, weights, count, length, m);
        begun[run.output] = true;
        continue;
      }
      k.weighted_sum(partial, words, weights, count, length, m);
      k.add(out, out, partial, length, m);
    }
  }
  for (std::size_t o = 0; o < output_count_; ++o) {
    if (!begun[o]) std::memset(outputs[o][half].row(row) + begin, 0, length * sizeof(u64));
  }
}

std::vector<Ciphertext> WeightedSums::apply(const ckks::Evaluator& evaluator,
                                            std::span<const Ciphertext* const> inputs) const {
  check_inputs(evaluator, inputs);
  const Context& context = evaluator.context();
  const std::size_t n = ring_degree_;
  std::vector<Pair> sums(output_count_);
  for (Pair& sum : sums) {
    for (NttPoly& half : sum) half = NttPoly(n, {level_ + 1, 0});
  }
  const std::size_t task_words = std::min(n, kTaskWords);
  const std::size_t pieces = n / task_words;
  ring::parallel_for(2 * (level_ + 1) * pieces, [&](std::size_t task) {
    const std::size_t half = task / pieces / (level_ + 1);
    const std::size_t row = task / pieces % (level_ + 1);
    const std::size_t first = task % pieces * task_words;
    for (std::size_t at = 0; at < task_words; at += kWords) {
      sum_words(sums, inputs, half, row, first + at, std::min(kWords, task_words - at), context);
    }
  });
  std::vector<Ciphertext> outputs(output_count_);
  ring::parallel_for(output_count_, [&](std::size_t o) {
    Ciphertext sum;
    for (NttPoly& half : sums[o]) sum.body.parts.emplace_back(std::move(half));
    outputs[o] = evaluator.rescale(sum);
    outputs[o].scale = output_scale_;
  });
  return outputs;
}

}  // namespace hetorch::circuits
