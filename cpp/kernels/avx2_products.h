// Products of rotated inputs with diagonals and of digits with switching keys, on doubles.
#pragma once

#include "kernels/avx2_sums.h"
#include "kernels/packed.h"
#include "kernels/prefetch.h"

namespace hetorch::kernels {
namespace {

// Distance in words by which the stream of diagonals is prefetched; raised, words may be evicted before they are used.
constexpr std::size_t kDiagonalsAhead = 1024;

// Write out four positions of a diagonal's block, from position `at` on, from the kept words of the block.
template <int kShift>
inline Vector spread(const u64* words, std::size_t at) {
  if constexpr (kShift == 0) return load_residues(words + at);
  if constexpr (kShift == 1) {
    const __m128d two = _mm_loadu_pd(reinterpret_cast<const double*>(words + at / 2));
    return to_double(_mm256_permute4x64_pd(_mm256_castpd128_pd256(two), 0x50));
  }
  return to_double(broadcast_bits(words + (at >> kShift)));
}

// Works on two vectors of a block at a time, of both halves: four independent chains of sums.
template <int kShift>
void diagonal_sums_of(const DiagonalSums& sums, std::size_t n, const ModulusConstants& m) {
  constexpr std::size_t kWords = kDiagonalBlock >> kShift == 0 ? 1 : kDiagonalBlock >> kShift;
  const Prime p(m);
  const Chunk chunk = make_chunk(2 * bits_of(m.q));
  const Vector start = broadcast(chunk.start);
  for (std::size_t j = 0; j < n; j += kDiagonalBlock) {
    const u64* stream = sums.values + (j >> sums.shift) * sums.terms;
    const u64* const* input = sums.inputs;
    for (std::size_t g = 0; g < sums.groups; ++g) {
      const std::size_t terms = sums.counts[g];
      for (std::size_t at = 0; at < kDiagonalBlock; at += 2 * kLanes) {
        Vector carry[4] = {broadcast(0.0), broadcast(0.0), broadcast(0.0), broadcast(0.0)};
        for (std::size_t begin = 0; begin < terms; begin += chunk.terms) {
          const std::size_t end = begin + chunk.terms < terms ? begin + chunk.terms : terms;
          Sum sum[4] = {{start, carry[0]}, {start, carry[1]}, {start, carry[2]}, {start, carry[3]}};
          for (std::size_t i = begin; i < end; ++i) {
            const u64* words = stream + i * kWords;
            prefetch_ahead(words + (at * kWords / kDiagonalBlock), kDiagonalsAhead);
            const Vector factor0 = spread<kShift>(words, at);
            const Vector factor1 = spread<kShift>(words, at + kLanes);
            const u64* x = input[i] + j + at;
            accumulate(sum[0], factor0, load_residues(x));
            accumulate(sum[1], factor1, load_residues(x + kLanes));
            accumulate(sum[2], factor0, load_residues(x + sums.half));
            accumulate(sum[3], factor1, load_residues(x + sums.half + kLanes));
          }
          for (std::size_t k = 0; k < 4; ++k) carry[k] = finish(sum[k], start, p);
        }
        store(sums.out0[g] + j + at, canonical_bits(carry[0], p));
        store(sums.out0[g] + j + at + kLanes, canonical_bits(carry[1], p));
        store(sums.out1[g] + j + at, canonical_bits(carry[2], p));
        store(sums.out1[g] + j + at + kLanes, canonical_bits(carry[3], p));
      }
      input += terms;
      stream += terms * kWords;
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

// Unpacks a block of 8 packed words (packed.h) to two vectors. Two words of at most 50 bits lie within 14 bytes from
// the first byte of the first word. So 16 bytes are loaded for each pair; each lane gets the 8 bytes that begin with
// the byte of its word's first bit, the bits below the word are shifted out, and those above it are cleared.
struct PackedLanes {
  explicit PackedLanes(int bits) : mask(_mm256_set1_epi64x(static_cast<long long>(~u64{0} >> (64 - bits)))) {
    std::uint8_t from[2][32];
    long long below[2][kLanes];
    for (std::size_t i = 0; i < kPackedBlock; ++i) {
      const std::size_t first = i / 2 * 2 * static_cast<std::size_t>(bits);  // first bit of the pair
      const std::size_t at = first % 8 + i % 2 * static_cast<std::size_t>(bits);
      loads[i / 2] = first / 8;
      below[i / kLanes][i % kLanes] = static_cast<long long>(at % 8);
      for (std::size_t k = 0; k < 8; ++k) {
        from[i / kLanes][i % kLanes * 8 + k] = static_cast<std::uint8_t>(at / 8 + k);
      }
    }
    for (std::size_t v = 0; v < 2; ++v) {
      bytes[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from[v]));
      shifts[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(below[v]));
    }
  }
  // Words 4 v to 4 v + 3.
  __m256i words(const std::uint8_t* block, std::size_t v) const {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + loads[2 * v]));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + loads[2 * v + 1]));
    const __m256i moved = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), bytes[v]);
    return _mm256_and_si256(_mm256_srlv_epi64(moved, shifts[v]), mask);
  }
  // The same as doubles.
  Vector unpack(const std::uint8_t* block, std::size_t v) const {
    return to_double(_mm256_castsi256_pd(words(block, v)));
  }
  __m256i mask;
  __m256i bytes[2];
  __m256i shifts[2];
  std::size_t loads[4];
};

void unpack(u64* out, const std::uint8_t* bytes, int bits, std::size_t n) {
  const PackedLanes lanes(bits);
  for (std::size_t j = 0; j < n; j += kPackedBlock, bytes += bits) {
    for (std::size_t v = 0; v < 2; ++v) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + j + v * kLanes), lanes.words(bytes, v));
    }
  }
}

// The addend, below 2^50, takes the place of the first carry. finish() has room for it: 2^52 + 2^50 + 2^49 + 2^50 is
// below 2^53.
void key_product(u64* out0, u64* out1, const KeyProduct& product, std::size_t n, const ModulusConstants& m) {
  static_assert(2 * kLanes == kPackedBlock);
  const Prime p(m);
  const Chunk chunk = make_chunk(2 * bits_of(m.q));
  const Vector start = broadcast(chunk.start);
  const PackedLanes lanes(product.key.bits);
  const std::size_t word = static_cast<std::size_t>(product.key.bits);  // size of 8 packed words in bytes
  const std::size_t step = product.key.block_bytes();
  auto later = reinterpret_cast<std::uintptr_t>(product.ahead == nullptr ? product.key.bytes : product.ahead);
  for (std::size_t j = 0; j < n; j += kPackedBlock, later += step) {
    const std::size_t from =
        product.index == nullptr ? j : (product.index[j] - product.base) / kPackedBlock * kPackedBlock;
    const std::uint8_t* key = product.key.bytes + from / kPackedBlock * step;
    Vector carry[4] = {broadcast(0.0), broadcast(0.0), broadcast(0.0), broadcast(0.0)};
    if (product.addend != nullptr) {
      for (std::size_t v = 0; v < 2; ++v) carry[v] = load_residues(product.addend + from + v * kLanes);
    }
    for (std::size_t begin = 0; begin < product.count; begin += chunk.terms) {
      const std::size_t end = begin + chunk.terms < product.count ? begin + chunk.terms : product.count;
      Sum sum[4] = {{start, carry[0]}, {start, carry[1]}, {start, carry[2]}, {start, carry[3]}};
      for (std::size_t i = begin; i < end; ++i) {
        const std::uint8_t* pair = key + i * 2 * word;
        for (std::size_t h = 0; h < 2; ++h) {
          __builtin_prefetch(reinterpret_cast<const void*>(later + (2 * i + h) * word));
        }
        for (std::size_t v = 0; v < 2; ++v) {
          const Vector f = load_residues(product.digits[i] + from + v * kLanes);
          accumulate(sum[v], f, lanes.unpack(pair, v));
          accumulate(sum[2 + v], f, lanes.unpack(pair + word, v));
        }
      }
      for (std::size_t k = 0; k < 4; ++k) carry[k] = finish(sum[k], start, p);
    }
    for (std::size_t h = 0; h < 2; ++h) {
      u64* out = (h == 0 ? out0 : out1) + j;
      if (product.index == nullptr) {
        for (std::size_t v = 0; v < 2; ++v) store(out + v * kLanes, canonical_bits(carry[2 * h + v], p));
        continue;
      }
      alignas(32) u64 block[kPackedBlock];
      for (std::size_t v = 0; v < 2; ++v) store(block + v * kLanes, canonical_bits(carry[2 * h + v], p));
      for (std::size_t k = 0; k < kPackedBlock; ++k) out[k] = block[product.index[j + k] % kPackedBlock];
    }
  }
}

}  // namespace
}  // namespace hetorch::kernels
