// Products of rotated inputs with diagonals, with 52-bit multiply-add.
#pragma once

#include "kernels/ifma_elementwise.h"
#include "kernels/prefetch.h"

namespace hetorch::kernels {
namespace {

// Distance in words by which the stream of diagonals is prefetched: some eighty terms, more work than a memory access
// takes. Raised, words may be evicted before they are used.
constexpr std::size_t kDiagonalsAhead = 1024;

// The 16 words of a diagonal's block, written out.
struct Spread {
  Vec low;
  Vec high;
};

// Write out the kept words of a block; every kept word stands for 2^kShift equal ones.
template <int kShift>
inline Spread spread(const u64* words) {
  static_assert(kDiagonalBlock == 2 * kLanes);
  if constexpr (kShift == 0) return {load(words), load(words + kLanes)};
  if constexpr (kShift == 1) {
    const Vec x = load(words);
    return {interleave_low(x, x), interleave_high(x, x)};
  }
  if constexpr (kShift == 2) {
    const Vec x = repeat4(words);
    const Vec twice = interleave_low(x, x);
    return {interleave_low(twice, twice), interleave_high(twice, twice)};
  }
  if constexpr (kShift == 3) return {broadcast(words[0]), broadcast(words[1])};
  return {broadcast(words[0]), broadcast(words[0])};
}

// Works on two vectors at a time, of both halves: eight independent chains of sums, twice as many as hide the latency
// of a multiply-add.
template <int kShift>
void diagonal_sums_of(const DiagonalSums& sums, std::size_t n, const ModulusConstants& m) {
  constexpr std::size_t kWords = kDiagonalBlock >> kShift == 0 ? 1 : kDiagonalBlock >> kShift;
  const Prime p(m);
  const WideReduction r(m);
  const u64* stream = sums.values;
  for (std::size_t j = 0; j < n; j += kDiagonalBlock) {
    if (kShift >= 4) stream = sums.values + (j >> sums.shift) * sums.terms;
    const u64* const* input = sums.inputs;
    for (std::size_t g = 0; g < sums.groups; ++g) {
      Vec carry[4] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
      for (std::size_t left = sums.counts[g]; left != 0;) {
        const std::size_t count = left < kChunk ? left : kChunk;
        Wide sum[4];
#pragma GCC unroll 4
        for (std::size_t k = 0; k < 4; ++k) sum[k] = {broadcast(0), carry[k]};
        for (std::size_t i = 0; i < count; ++i, stream += kWords) {
          const Spread f = spread<kShift>(stream);
          for (std::size_t w = 0; w < kWords; w += kLanes) prefetch_ahead(stream + w, kDiagonalsAhead);
          const u64* x = *input++ + j;
          accumulate(sum[0], f.low, load(x));
          accumulate(sum[1], f.high, load(x + kLanes));
          accumulate(sum[2], f.low, load(x + sums.half));
          accumulate(sum[3], f.high, load(x + sums.half + kLanes));
        }
#pragma GCC unroll 4
        for (std::size_t k = 0; k < 4; ++k) carry[k] = reduce_wide(sum[k], r, p);
        left -= count;
      }
      store(sums.out0[g] + j, reduce_once(carry[0], p.q));
      store(sums.out0[g] + j + kLanes, reduce_once(carry[1], p.q));
      store(sums.out1[g] + j, reduce_once(carry[2], p.q));
      store(sums.out1[g] + j + kLanes, reduce_once(carry[3], p.q));
    }
  }
}

void diagonal_sums(const DiagonalSums& sums, std::size_t n, const ModulusConstants& m) {
  if (sums.shift == 0) return diagonal_sums_of<0>(sums, n, m);
  if (sums.shift == 1) return diagonal_sums_of<1>(sums, n, m);
  if (sums.shift == 2) return diagonal_sums_of<2>(sums, n, m);
  if (sums.shift == 3) return diagonal_sums_of<3>(sums, n, m);
  diagonal_sums_of<4>(sums, n, m);
}

}  // namespace
}  // namespace hetorch::kernels
