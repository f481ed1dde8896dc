// weighted_sums() of every path, from its weighted_sum().
#pragma once

#include <algorithm>

#include "kernels/api.h"

namespace hetorch::kernels {
namespace {

// 4 KiB of each input: eight inputs and an output leave a quarter of a 48 KiB first-level cache.
constexpr std::size_t kSumTile = 512;

template <auto kWeightedSum>
void tiled_weighted_sums(u64* const* out, const u64* const* in, const u64* const* weights,
                         const ModulusConstants* const* moduli, std::size_t targets, std::size_t count, std::size_t n) {
  const u64* tile[64];
  for (std::size_t begin = 0; begin < n; begin += kSumTile) {
    const std::size_t length = std::min(kSumTile, n - begin);
    for (std::size_t i = 0; i < count; ++i) tile[i] = in[i] + begin;
    for (std::size_t t = 0; t < targets; ++t) {
      kWeightedSum(out[t] + begin, tile, weights[t], count, length, *moduli[t]);
    }
  }
}

}  // namespace
}  // namespace hetorch::kernels
