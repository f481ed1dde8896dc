// weighted_sums() and key_product() of the paths that have no other, from their weighted_sum() and
// inner_product_pair().
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/packed.h"

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

// The digits and the key of eight blocks are copied together, in the order in which their sums go out.
template <auto kInnerProductPair, void (*kAdd)(u64*, const u64*, const u64*, std::size_t, const ModulusConstants&),
          void (*kPermute)(u64*, const u64*, const std::uint32_t*, std::size_t)>
void gathered_key_product(u64* out0, u64* out1, const KeyProduct& product, std::size_t n, const ModulusConstants& m) {
  constexpr std::size_t kBlock = kPackedBlock;
  constexpr std::size_t kWords = 64;
  alignas(64) u64 words[3][64][kWords];
  alignas(64) u64 sums[2][kWords];
  alignas(64) u64 addend[kWords];
  const u64* rows[3][64];
  for (std::size_t k = 0; k < 3; ++k) {
    for (std::size_t i = 0; i < product.count; ++i) rows[k][i] = words[k][i];
  }
  for (std::size_t begin = 0; begin < n; begin += kWords) {
    const std::size_t length = std::min(kWords, n - begin);
    std::uint32_t lanes[kWords];
    for (std::size_t j = 0; j < length; j += kBlock) {
      const std::size_t at = begin + j;
      const std::size_t from = product.index == nullptr ? at : (product.index[at] - product.base) / kBlock * kBlock;
      for (std::size_t i = 0; i < product.count; ++i) {
        const int bits = product.key.bits;
        const std::uint8_t* pair =
            product.key.bytes + from / kBlock * product.key.block_bytes() + 2 * i * static_cast<std::size_t>(bits);
        std::memcpy(words[0][i] + j, product.digits[i] + from, kBlock * sizeof(u64));
        unpack_block(words[1][i] + j, pair, bits);
        unpack_block(words[2][i] + j, pair + bits, bits);
      }
      if (product.addend != nullptr) std::memcpy(addend + j, product.addend + from, kBlock * sizeof(u64));
      for (std::size_t k = 0; k < kBlock && product.index != nullptr; ++k) {
        lanes[j + k] = static_cast<std::uint32_t>(j + product.index[at + k] % kBlock);
      }
    }
    u64* first = product.index == nullptr ? out0 + begin : sums[0];
    u64* second = product.index == nullptr ? out1 + begin : sums[1];
    kInnerProductPair(first, second, rows[0], rows[1], rows[2], product.count, length, m);
    if (product.addend != nullptr) kAdd(first, first, addend, length, m);
    if (product.index == nullptr) continue;
    kPermute(out0 + begin, first, lanes, length);
    kPermute(out1 + begin, second, lanes, length);
  }
}

}  // namespace
}  // namespace hetorch::kernels
