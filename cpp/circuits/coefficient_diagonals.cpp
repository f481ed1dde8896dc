// The inner sums of a linear transform whose diagonals are kept as coefficients: each is transformed when it is used.
#include <algorithm>
#include <bit>
#include <cstring>

#include "circuits/baby_step.h"

namespace hetorch::circuits {
namespace {

using kernels::u64;
using ring::Buffer;

// Number of diagonals that are transformed before they are multiplied. Raised, their products are reduced less often,
// and the transformed rows leave the caches: at N = 2^16, eight rows take 4 MiB.
constexpr std::size_t kAtOnce = 8;
// Length in words of a tile of products: the words of kAtOnce diagonals for a tile take 64 KiB.
constexpr std::size_t kTile = 1024;

}  // namespace

void LinearTransform::interleave(u64* stream, const u64* transformed, std::size_t terms, std::size_t at,
                                 std::size_t length) const {
  const std::size_t run = ring_degree_ / distinct_;
  const std::size_t count = kept_coefficients();
  const std::size_t step = count / distinct_;
  const std::size_t words = std::max<std::size_t>(1, length / run);
  for (std::size_t i = 0; i < words; i += block_words_) {
    for (std::size_t t = 0; t < terms; ++t, stream += block_words_) {
      const u64* from = transformed + t * count + (at / run + i) * step;
      if (block_words_ == kernels::kDiagonalBlock) {
        std::memcpy(stream, from, kernels::kDiagonalBlock * sizeof(u64));
      } else {
        for (std::size_t k = 0; k < block_words_; ++k) stream[k] = from[k * step];
      }
    }
  }
}

// The whole row of every rotated input is made first, since a transform gives a whole row of a diagonal at once.
void LinearTransform::sum_coefficients(std::vector<Pair>& sums, const std::vector<Step>& steps, std::size_t row,
                                       const ckks::Context& context) const {
  const std::size_t n = ring_degree_;
  const std::size_t count = kept_coefficients();
  const std::size_t length = std::min(n, kTile);
  const std::size_t index = context.basis().index(limbs_, row);
  const kernels::Kernels& k = context.basis().kernels(index);
  const kernels::ModulusConstants& m = context.basis().modulus(index);
  Buffer rotated(steps.size() * 2 * n);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (std::size_t at = 0; at < n; at += length) {
      u64* const tile[2] = {rotated.data() + 2 * i * n + at, rotated.data() + (2 * i + 1) * n + at};
      rotate_tile(tile, steps[i], steps[i], row, at, length, context);
    }
  }
  Buffer transformed(kAtOnce * count);
  Buffer stream(kAtOnce * length);
  Buffer more(2 * length);
  const double* coefficients = reinterpret_cast<const double*>(coefficients_.data());
  std::size_t term = 0;  // the first one of a piece of a group
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const std::vector<std::size_t>& members = groups_[g].rotated;
    for (std::size_t begin = 0; begin < members.size(); begin += kAtOnce) {
      const std::size_t terms = std::min(kAtOnce, members.size() - begin);
      for (std::size_t i = 0; i < terms; ++i, ++term) {
        context.encoder().transform(transformed.data() + i * count, coefficients + term * count, largest_[term], count,
                                    index);
      }
      for (std::size_t at = 0; at < n; at += length) {
        interleave(stream.data(), transformed.data(), terms, at, length);
        const u64* inputs[kAtOnce];
        for (std::size_t i = 0; i < terms; ++i) inputs[i] = rotated.data() + 2 * members[begin + i] * n + at;
        u64* const out[2] = {sums[g][0].row(row) + at, sums[g][1].row(row) + at};
        u64* const sum[2] = {begin == 0 ? out[0] : more.data(), begin == 0 ? out[1] : more.data() + length};
        k.diagonal_sums({.values = stream.data(),
                         .shift = std::countr_zero(n / distinct_),
                         .terms = terms,
                         .inputs = inputs,
                         .half = n,
                         .counts = &terms,
                         .groups = 1,
                         .out0 = &sum[0],
                         .out1 = &sum[1]},
                        length, m);
        if (begin == 0) continue;
        for (std::size_t h = 0; h < 2; ++h) k.add(out[h], out[h], sum[h], length, m);
      }
    }
  }
}

}  // namespace hetorch::circuits
