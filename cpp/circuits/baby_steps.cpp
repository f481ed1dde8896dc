// The inner sums of a linear transform: rotated inputs times diagonals, over q_0…q_level and P.
#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <optional>

#include "circuits/linear_transform.h"
#include "rlwe/key_switch.h"

namespace hetorch::circuits {
namespace {

using ckks::Ciphertext;
using ckks::Context;
using kernels::u64;
using ring::Buffer;
using ring::NttPoly;

// Products summed by one kernel call: what it reads for each, 1 KiB of a diagonal written out, stays in the first-level
// cache. (The kernels would take 64.)
constexpr std::size_t kTerms = 32;
constexpr std::size_t kSumBlock = 128;
// Words of a row that are worked on together. An automorphism takes aligned blocks of any power of two to such blocks
// (the block of a position is the low bits of the exponent that it stands for), so a tile of a rotated input needs one
// tile of the digits and of the key. Long tiles stream the keys better; but the rotated inputs of a tile shall stay in
// the second-level cache from their making to the last diagonal: they may take half of it.
constexpr std::size_t kLongestTile = 2048;
constexpr std::size_t kShortestTile = 512;
constexpr std::size_t kRotatedWords = (std::size_t{1} << 19) / 8;

std::size_t tile_length(std::size_t n, std::size_t rotated) {
  std::size_t length = kLongestTile;
  while (length > kShortestTile && 2 * rotated * length > kRotatedWords) length /= 2;
  return std::min(n, length);
}

// out[i] = values[(begin + i) / run], i < count, with run = 2^shift and count a multiple of 8.
void write_out(u64* out, const u64* values, std::size_t begin, std::size_t count, int shift) {
  if (shift < 3) {
    for (std::size_t i = 0; i < count; ++i) out[i] = values[(begin + i) >> shift];
    return;
  }
  for (std::size_t i = 0; i < count; i += 8) {
    const u64 value = values[(begin + i) >> shift];
    for (std::size_t k = 0; k < 8; ++k) out[i + k] = value;
  }
}

NttPoly times_p(const NttPoly& poly, const rlwe::Context& context) {
  NttPoly result(poly.n(), poly.limbs());
  ring::parallel_rows(poly, [&](std::size_t r) {
    context.basis().kernels(r).multiply_scalar(result.row(r), poly.row(r), context.special_converter().product(r),
                                               poly.n(), context.basis().modulus(r));
  });
  return result;
}

}  // namespace

// What a baby step needs.
struct LinearTransform::Step {
  const Ciphertext* input = nullptr;
  const rlwe::Digits* digits = nullptr;  // null: not rotated
  const NttPoly* scaled = nullptr;       // P times the first half of the input
  const rlwe::SwitchingKey* key = nullptr;
  const std::uint32_t* permutation = nullptr;
};

// Half h of a step at words [at, at + length) of a row into out[h]; false where it is zero: what is not rotated is P
// times the input, 0 modulo the primes of P. next: the step that comes after this one, on the same tile.
bool LinearTransform::rotate_tile(u64* const* out, const Step& step, const Step& next, std::size_t row, std::size_t at,
                                  std::size_t length, const Context& context) const {
  const ring::RnsBasis& basis = context.basis();
  const std::size_t index = basis.index(limbs_, row);
  const kernels::ModulusConstants& m = basis.modulus(index);
  const kernels::Kernels& k = basis.kernels(index);
  const bool data_row = row < limbs_.data;
  if (step.digits == nullptr) {
    if (!data_row) return false;
    // P modulo this prime; with no special primes nothing is multiplied by P.
    const u64 p = limbs_.special == 0 ? 1 : context.rlwe().special_converter().product(index);
    for (std::size_t h = 0; h < 2; ++h) {
      k.multiply_scalar(out[h], step.input->body.parts[h]->row(row) + at, p, length, m);
    }
    return true;
  }
  const std::size_t from = step.permutation[at] / length * length;
  const u64* digits[64];
  for (std::size_t d = 0; d < step.digits->digit_count(); ++d) digits[d] = step.digits->row(d, row) + from;
  kernels::KeyProduct product{.digits = digits,
                              .count = step.digits->digit_count(),
                              .key = rlwe::key_row(*step.key, row, level_, from),
                              .addend = data_row ? step.scaled->row(row) + from : nullptr,
                              .index = step.permutation + at,
                              .base = static_cast<std::uint32_t>(from)};
  if (next.digits != nullptr) {
    product.ahead = rlwe::key_row(*next.key, row, level_, next.permutation[at] / length * length).bytes;
  }
  k.key_product(out[0], out[1], product, length, m);
  return true;
}

// One block, `count` words at `at`, of the inner sum of a group; halves(i)[h] is half h of rotated input i there, null
// where it is zero. scratch: kTerms + 2 blocks.
template <class Halves>
void LinearTransform::sum_block(u64* out0, u64* out1, const Group& group, std::size_t row, std::size_t at,
                                std::size_t length, const Halves& halves, u64* scratch, const Context& context) const {
  const ring::RnsBasis& basis = context.basis();
  const std::size_t index = basis.index(limbs_, row);
  const kernels::ModulusConstants& m = basis.modulus(index);
  const kernels::Kernels& k = basis.kernels(index);
  const int shift = std::countr_zero(basis.n() / distinct_);
  const u64* values[kTerms];
  const u64* first[kTerms];
  const u64* second[kTerms];
  u64* more = scratch + kTerms * length;  // sums beyond the first kTerms terms
  std::size_t count = 0;
  bool started = false;
  const auto flush = [&] {
    if (count == 0) return;
    u64* sum0 = started ? more : out0;
    u64* sum1 = started ? more + length : out1;
    k.inner_product_pair(sum0, sum1, values, first, second, count, length, m);
    if (started) {
      k.add(out0, out0, sum0, length, m);
      k.add(out1, out1, sum1, length, m);
    }
    started = true;
    count = 0;
  };
  for (const Term& term : group.terms) {
    const std::array<const u64*, 2> rotated = halves(term.rotated);
    if (rotated[0] == nullptr) continue;
    const u64* kept = term.values.data() + row * distinct_;
    if (shift == 0) {
      values[count] = kept + at;
    } else {
      u64* written = scratch + count * length;
      write_out(written, kept, at, length, shift);
      values[count] = written;
    }
    first[count] = rotated[0];
    second[count] = rotated[1];
    if (++count == kTerms) flush();
  }
  flush();
  if (started) return;
  std::memset(out0, 0, length * 8);
  std::memset(out1, 0, length * 8);
}

std::vector<LinearTransform::Pair> LinearTransform::accumulate(const ckks::Evaluator& evaluator,
                                                               std::span<const Ciphertext* const> inputs) const {
  const Context& context = evaluator.context();
  const ring::RnsBasis& basis = context.basis();
  const std::size_t n = basis.n();
  std::map<std::size_t, rlwe::Digits> digits;  // by input
  std::map<std::size_t, NttPoly> scaled;
  std::vector<Step> steps(rotated_.size());
  for (std::size_t i = 0; i < rotated_.size(); ++i) {
    Step& step = steps[i];
    step.input = inputs[rotated_[i].input];
    if (rotated_[i].baby == 0) continue;
    const std::uint32_t element = evaluator.galois_element(static_cast<std::int64_t>(rotated_[i].baby));
    step.key = &evaluator.galois_key(element, level_);
    step.permutation = basis.permutation(element);
    auto found = digits.find(rotated_[i].input);
    if (found == digits.end()) {
      found = digits.try_emplace(rotated_[i].input, step.input->body.parts[1], context.rlwe()).first;
      scaled.try_emplace(rotated_[i].input, times_p(step.input->body.parts[0], context.rlwe()));
    }
    step.digits = &found->second;
    step.scaled = &scaled.at(rotated_[i].input);
  }

  std::vector<Pair> sums;
  for (std::size_t g = 0; g < groups_.size(); ++g) sums.push_back({NttPoly(n, limbs_), NttPoly(n, limbs_)});
  const std::size_t length = tile_length(n, steps.size());
  const std::size_t block = std::min(kSumBlock, length);
  // Half rows, so that rows that do not divide by the threads leave nobody idle for long.
  const std::size_t pieces = n >= 4 * length ? 2 : 1;
  const std::size_t piece = n / pieces;
  ring::parallel_for(limbs_.count() * pieces, [&](std::size_t task) {
    const std::size_t row = task / pieces;
    const std::size_t begin = task % pieces * piece;
    Buffer rotated(steps.size() * 2 * length);
    Buffer scratch((kTerms + 2) * block);
    std::vector<std::array<u64*, 2>> tiles(steps.size());
    std::vector<bool> zero(steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      tiles[i] = {rotated.data() + 2 * i * length, rotated.data() + (2 * i + 1) * length};
    }
    for (std::size_t at = begin; at < begin + piece; at += length) {
      for (std::size_t i = 0; i < steps.size(); ++i) {
        zero[i] =
            !rotate_tile(tiles[i].data(), steps[i], steps[i + 1 < steps.size() ? i + 1 : i], row, at, length, context);
      }
      for (std::size_t from = 0; from < length; from += block) {
        const auto halves = [&](std::size_t i) -> std::array<const u64*, 2> {
          if (zero[i]) return {nullptr, nullptr};
          return {tiles[i][0] + from, tiles[i][1] + from};
        };
        for (std::size_t g = 0; g < groups_.size(); ++g) {
          sum_block(sums[g][0].row(row) + at + from, sums[g][1].row(row) + at + from, groups_[g], row, at + from, block,
                    halves, scratch.data(), context);
        }
      }
    }
  });
  return sums;
}

}  // namespace hetorch::circuits
