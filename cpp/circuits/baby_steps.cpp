// The baby steps of a linear transform: rotate the inputs, multiply them by the diagonals and sum, over q_0…q_level and
// P.
#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <optional>

#include "circuits/baby_step.h"

namespace hetorch::circuits {
namespace {

using ckks::Ciphertext;
using ckks::Context;
using kernels::u64;
using ring::Buffer;
using ring::NttPoly;

// Lengths of a tile in words: a row is worked on tile by tile. Longer tiles read the keys in longer sequences; in
// shorter ones the rotated inputs stay in the cache for more diagonals.
constexpr std::size_t kLongestTile = 2048;
constexpr std::size_t kShortestTile = 512;
// Words that the rotated inputs of a tile may take: half of a second-level cache of 1 MiB. Raised, tiles get longer,
// until the rotated inputs leave the cache before the last diagonal has used them.
constexpr std::size_t kRotatedWords = (std::size_t{1} << 19) / 8;

// Return the length of a tile, a power of two. An automorphism takes aligned blocks of any power of two to such blocks
// (the block of a position is the low bits of the exponent that it stands for), so a tile of a rotated input needs one
// tile of the digits and of the key.
std::size_t tile_length(std::size_t n, std::size_t rotated) {
  std::size_t length = kLongestTile;
  while (length > kShortestTile && 2 * rotated * length > kRotatedWords) length /= 2;
  return std::min(n, length);
}

NttPoly times_p(const NttPoly& poly, const rlwe::KeyFamily& family) {
  NttPoly result(poly.n(), poly.limbs());
  ring::parallel_rows(poly, [&](std::size_t r) {
    family.basis().kernels(r).multiply_scalar(result.row(r), poly.row(r), family.special_converter().product(r),
                                              poly.n(), family.basis().modulus(r));
  });
  return result;
}

}  // namespace

LinearTransform::Steps LinearTransform::make_steps(const ckks::Evaluator& evaluator,
                                                   std::span<const Ciphertext* const> inputs) const {
  const Context& context = evaluator.context();
  const rlwe::KeyFamily& family = context.rlwe().family(shape_);
  Steps steps;
  for (const Rotated& rotated : rotated_) {
    Step& step = steps.all.emplace_back();
    step.input = inputs[rotated.input];
    if (rotated.baby == 0) continue;
    const std::uint32_t element = evaluator.galois_element(static_cast<std::int64_t>(rotated.baby));
    step.key = &evaluator.galois_key(element, level_, family);
    step.permutation = context.basis().permutation(element);
    auto digits = steps.digits.find(rotated.input);
    if (digits == steps.digits.end()) {
      digits = steps.digits.try_emplace(rotated.input, step.input->body.parts[1], family).first;
      steps.scaled.try_emplace(rotated.input, times_p(step.input->body.parts[0], family));
    }
    step.digits = &digits->second;
    step.scaled = &steps.scaled.at(rotated.input);
  }
  return steps;
}

// Compute half h of a step at words [at, at + length) of a row in out[h]. An input that is not rotated is multiplied by
// P, and so 0 modulo the primes of P. next: the step that comes after this one on the same tile, for prefetching its
// key.
void LinearTransform::rotate_tile(u64* const* out, const Step& step, const Step& next, std::size_t row, std::size_t at,
                                  std::size_t length, const Context& context) const {
  const ring::RnsBasis& basis = context.basis();
  const std::size_t index = basis.index(limbs_, row);
  const kernels::ModulusConstants& m = basis.modulus(index);
  const kernels::Kernels& k = basis.kernels(index);
  const bool data_row = row < limbs_.data;
  if (step.digits == nullptr) {
    if (!data_row) {
      for (std::size_t h = 0; h < 2; ++h) std::memset(out[h], 0, length * sizeof(u64));
      return;
    }
    // P modulo this prime; without special primes, P is 1.
    const u64 p = limbs_.special == 0 ? 1 : context.rlwe().family(shape_).special_converter().product(index);
    for (std::size_t h = 0; h < 2; ++h) {
      k.multiply_scalar(out[h], step.input->body.parts[h]->row(row) + at, p, length, m);
    }
    return;
  }
  const std::size_t from = step.permutation[at] / length * length;
  const u64* digits[64];
  for (std::size_t d = 0; d < step.digits->digit_count(); ++d) digits[d] = step.digits->row(d, row) + from;
  kernels::KeyProduct product{.digits = digits,
                              .count = step.digits->digit_count(),
                              .key = rlwe::key_row(*step.key, row, level_, from),
                              .addend = row < step.scaled->limbs().count() ? step.scaled->row(row) + from : nullptr,
                              .index = step.permutation + at,
                              .base = static_cast<std::uint32_t>(from)};
  if (next.digits != nullptr) {
    product.ahead = rlwe::key_row(*next.key, row, level_, next.permutation[at] / length * length).bytes;
  }
  k.key_product(out[0], out[1], product, length, m);
}

std::vector<LinearTransform::Pair> LinearTransform::accumulate(const std::vector<Step>& steps,
                                                               const Context& context) const {
  const ring::RnsBasis& basis = context.basis();
  const std::size_t n = basis.n();
  std::vector<Pair> sums;
  std::vector<std::size_t> counts;
  for (const Group& group : groups_) {
    sums.push_back({NttPoly(n, limbs_), NttPoly(n, limbs_)});
    counts.push_back(group.rotated.size());
  }
  if (form_ == DiagonalForm::coefficients) {
    ring::parallel_for(limbs_.count(), [&](std::size_t row) { sum_coefficients(sums, steps, row, context); });
    return sums;
  }
  const std::size_t length = tile_length(n, steps.size());
  // Tasks are half rows, so that no thread is idle for long if the number of rows is not a multiple of that of threads.
  const std::size_t pieces = n >= 4 * length ? 2 : 1;
  const std::size_t piece = n / pieces;
  ring::parallel_for(limbs_.count() * pieces, [&](std::size_t task) {
    const std::size_t row = task / pieces;
    const std::size_t begin = task % pieces * piece;
    Buffer rotated(steps.size() * 2 * length);
    std::vector<const u64*> inputs;  // the rotated input of each term
    for (const Group& group : groups_) {
      for (const std::size_t i : group.rotated) inputs.push_back(rotated.data() + 2 * i * length);
    }
    std::vector<u64*> out[2];
    for (Pair& sum : sums) {
      for (std::size_t h = 0; h < 2; ++h) out[h].push_back(sum[h].row(row) + begin);
    }
    const std::size_t index = basis.index(limbs_, row);
    for (std::size_t at = begin; at < begin + piece; at += length) {
      for (std::size_t i = 0; i < steps.size(); ++i) {
        u64* const tile[2] = {rotated.data() + 2 * i * length, rotated.data() + (2 * i + 1) * length};
        rotate_tile(tile, steps[i], steps[i + 1 < steps.size() ? i + 1 : i], row, at, length, context);
      }
      basis.kernels(index).diagonal_sums({.values = values_.data() + place(row, at, 0),
                                          .shift = std::countr_zero(n / distinct_),
                                          .terms = term_count_,
                                          .inputs = inputs.data(),
                                          .half = length,
                                          .counts = counts.data(),
                                          .groups = groups_.size(),
                                          .out0 = out[0].data(),
                                          .out1 = out[1].data()},
                                         length, basis.modulus(index));
      for (std::vector<u64*>& half : out) {
        for (u64*& words : half) words += length;
      }
    }
  });
  return sums;
}

}  // namespace hetorch::circuits
