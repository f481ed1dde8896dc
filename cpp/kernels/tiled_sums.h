// weighted_sums(), key_product() and diagonal_sums() for the paths that have none of their own, made of the path's
// weighted_sum() and inner_product_pair():
//     out0 = sum_i a[i] * b0[i], out1 = sum_i a[i] * b1[i] mod q, 1 <= count <= 64; out may be an input.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/packed.h"
#include "kernels/prefetch.h"

namespace hetorch::kernels {
namespace {

// Words of each input that are summed for all targets before the next tile: 4 KiB. Eight inputs and an output fill
// three quarters of a 48 KiB first-level cache.
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

// For eight blocks at a time, the digits and the unpacked key are copied to the stack in the order of the outputs.
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

// Diagonals with runs of equal words are written out block by block, so that the copies stay in the first-level cache.
template <auto kInnerProductPair, void (*kAdd)(u64*, const u64*, const u64*, std::size_t, const ModulusConstants&)>
void gathered_diagonal_sums(const DiagonalSums& sums, std::size_t n, const ModulusConstants& m) {
  constexpr std::size_t kTerms = 32;
  constexpr std::size_t kAhead = 1024;
  alignas(64) u64 written[kTerms][kDiagonalBlock];
  alignas(64) u64 more[2][kDiagonalBlock];
  const std::size_t words = std::max<std::size_t>(1, kDiagonalBlock >> sums.shift);
  const std::size_t run = kDiagonalBlock / words;
  for (std::size_t j = 0; j < n; j += kDiagonalBlock) {
    const u64* stream = sums.values + (j >> sums.shift) * sums.terms;
    const u64* const* input = sums.inputs;
    for (std::size_t g = 0; g < sums.groups; ++g) {
      u64* out[2] = {sums.out0[g] + j, sums.out1[g] + j};
      for (std::size_t begin = 0; begin < sums.counts[g]; begin += kTerms) {
        const std::size_t count = std::min(kTerms, sums.counts[g] - begin);
        const u64* values[kTerms];
        const u64* first[kTerms];
        const u64* second[kTerms];
        for (std::size_t i = 0; i < count; ++i, stream += words) {
          values[i] = sums.shift == 0 ? stream : written[i];
          for (std::size_t k = 0; k < words && sums.shift != 0; ++k) {
            for (std::size_t r = 0; r < run; ++r) written[i][k * run + r] = stream[k];
          }
          prefetch_ahead(stream, kAhead);
          first[i] = *input++ + j;
          second[i] = first[i] + sums.half;
        }
        u64* sum[2] = {begin == 0 ? out[0] : more[0], begin == 0 ? out[1] : more[1]};
        kInnerProductPair(sum[0], sum[1], values, first, second, count, kDiagonalBlock, m);
        for (std::size_t h = 0; h < 2 && begin != 0; ++h) kAdd(out[h], out[h], more[h], kDiagonalBlock, m);
      }
    }
  }
}

}  // namespace
}  // namespace hetorch::kernels
