// Base conversion (weighted sums) and inner products with switching keys, with 52-bit multiply-add.
#pragma once

#include "kernels/ifma_elementwise.h"
#include "kernels/prefetch.h"

namespace hetorch::kernels {
namespace {

// Targets that are summed together, and vectors of each: an input is read once for all of them. The sums take 16 of the
// 32 registers, twice as many as hide the latency of the multiply-add.
constexpr std::size_t kSumTargets = 4;
constexpr std::size_t kSumVectors = 2;
// The contract's limit of terms in a sum.
constexpr std::size_t kMostTerms = 64;
// Distance in words by which each source is prefetched: many sources are read at once, each from memory. Raised, words
// may be evicted before they are used.
constexpr std::size_t kAhead = 128;

// One target prime of a base conversion. The weights are stored as w 2^52 mod q, so that Montgomery's step, a division
// by 2^52, gives the sum itself. With k = low / q mod 2^52 the low 52 bits of k q are those of low, and
//     (high 2^52 + low - k q) / 2^52 = high + floor(low / 2^52) - floor(k q / 2^52)
// lies in (-q, count 2^50 q / 2^52]; high starts at q, so that the result is above 0 and at most (1 + count / 4) q.
struct SumTarget {
  Vec q;
  Vec inverse;  // q^-1 mod 2^52
  u64 weights[kMostTerms];

  void set(const u64* plain, std::size_t count, const ModulusConstants& m) {
    q = broadcast(m.q);
    inverse = broadcast((0 - m.montgomery52) & kMask52);
    const Multiplier radix = prepare(m.radix52, m);
    for (std::size_t i = 0; i < count; ++i) {
      // Shoup's product, like multiply_prepared().
      const u64 quotient = static_cast<u64>(u128{plain[i]} * radix.quotient >> 52);
      const u64 product = plain[i] * radix.value - quotient * m.q;
      weights[i] = product - (product >= m.q ? m.q : 0);
    }
  }
  Vec reduce(const Wide& sum, int halvings) const {
    const Vec k = multiply_low(broadcast(0), sum.low, inverse);
    Vec x = subtract(add(sum.high, shift_right_52(sum.low)), multiply_high(broadcast(0), k, q));
    for (int i = halvings; i >= 0; --i) x = reduce_once(x, shift_left(q, i));
    return x;
  }
};

// The least h with 1 + count / 4 <= 2^(h + 1): reductions by 2^h q, …, q make the sum canonical. (No sum is as large as
// 2^(h + 1) q, because residues are below 2^50.)
inline int sum_halvings(std::size_t count) {
  int halvings = 0;
  while ((std::size_t{8} << halvings) < 4 + count) ++halvings;
  return halvings;
}

template <std::size_t kTargets, std::size_t kVectors>
void sum_rows(u64* const* out, const u64* const* in, const SumTarget* targets, std::size_t count, std::size_t begin,
              std::size_t end) {
  const int halvings = sum_halvings(count);
  for (std::size_t j = begin; j < end; j += kLanes * kVectors) {
    Wide sums[kTargets][kVectors];
#pragma GCC unroll 4
    for (std::size_t t = 0; t < kTargets; ++t) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) sums[t][v] = {targets[t].q, broadcast(0)};
    }
    for (std::size_t i = 0; i < count; ++i) {
      Vec x[kVectors];
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) {
        x[v] = load(in[i] + j + v * kLanes);
        prefetch_ahead(in[i] + j + v * kLanes, kAhead);
      }
#pragma GCC unroll 4
      for (std::size_t t = 0; t < kTargets; ++t) {
        const Vec w = broadcast(targets[t].weights[i]);
#pragma GCC unroll 4
        for (std::size_t v = 0; v < kVectors; ++v) accumulate(sums[t][v], x[v], w);
      }
    }
#pragma GCC unroll 4
    for (std::size_t t = 0; t < kTargets; ++t) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) {
        store(out[t] + j + v * kLanes, targets[t].reduce(sums[t][v], halvings));
      }
    }
  }
}

template <std::size_t kTargets>
void sum_targets(u64* const* out, const u64* const* in, const SumTarget* targets, std::size_t count, std::size_t n) {
  const std::size_t whole = n / (kLanes * kSumVectors) * (kLanes * kSumVectors);
  sum_rows<kTargets, kSumVectors>(out, in, targets, count, 0, whole);
  if (whole != n) sum_rows<kTargets, 1>(out, in, targets, count, whole, n);
}

void weighted_sums(u64* const* out, const u64* const* in, const u64* const* weights,
                   const ModulusConstants* const* moduli, std::size_t targets, std::size_t count, std::size_t n) {
  for (std::size_t begin = 0; begin < targets; begin += kSumTargets) {
    const std::size_t together = targets - begin < kSumTargets ? targets - begin : kSumTargets;
    SumTarget prepared[kSumTargets];
    for (std::size_t t = 0; t < together; ++t) prepared[t].set(weights[begin + t], count, *moduli[begin + t]);
    u64* const* to = out + begin;
    if (together == 4) sum_targets<4>(to, in, prepared, count, n);
    if (together == 3) sum_targets<3>(to, in, prepared, count, n);
    if (together == 2) sum_targets<2>(to, in, prepared, count, n);
    if (together == 1) sum_targets<1>(to, in, prepared, count, n);
  }
}

void weighted_sum(u64* out, const u64* const* in, const u64* weights, std::size_t count, std::size_t n,
                  const ModulusConstants& m) {
  const ModulusConstants* modulus = &m;
  weighted_sums(&out, in, &weights, &modulus, 1, count, n);
}

// Unpacks a block of 8 packed words (packed.h) to a register: each lane gets the 8 bytes that begin with the byte of
// its word's first bit, the bits below the word are shifted out, and those above it are cleared.
struct PackedLanes {
  explicit PackedLanes(int bits) : mask(broadcast(~u64{0} >> (64 - bits))) {
    std::uint8_t from[8 * kLanes];
    u64 below[kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::size_t at = i * static_cast<std::size_t>(bits);
      below[i] = at % 8;
      for (std::size_t k = 0; k < 8; ++k) from[8 * i + k] = static_cast<std::uint8_t>(at / 8 + k);
    }
    bytes = load_bytes(from);
    shifts = load(below);
  }
  Vec unpack(const std::uint8_t* block) const {
    return bit_and(shift_right(permute_bytes(load_bytes(block), bytes), shifts), mask);
  }
  Vec bytes;
  Vec shifts;
  Vec mask;
};

void unpack(u64* out, const std::uint8_t* bytes, int bits, std::size_t n) {
  const PackedLanes lanes(bits);
  for (std::size_t j = 0; j < n; j += kLanes, bytes += bits) store(out + j, lanes.unpack(bytes));
}

template <bool kPermuted>
void key_product_of(u64* out0, u64* out1, const KeyProduct& product, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const WideReduction r(m);
  const PackedLanes lanes(product.key.bits);
  const std::size_t word = static_cast<std::size_t>(product.key.bits);  // size of 8 packed words in bytes
  const std::size_t step = product.key.block_bytes();
  // An integer, because pointer arithmetic beyond the end of an array is undefined.
  auto later = reinterpret_cast<std::uintptr_t>(product.ahead == nullptr ? product.key.bytes : product.ahead);
  for (std::size_t j = 0; j < n; j += kLanes) {
    const std::size_t from = kPermuted ? (product.index[j] - product.base) / kLanes * kLanes : j;
    const std::uint8_t* key = product.key.bytes + from / kLanes * step;
    Vec carry0 = product.addend == nullptr ? broadcast(0) : load(product.addend + from);
    Vec carry1 = broadcast(0);
    for (std::size_t begin = 0; begin < product.count; begin += kChunk) {
      const std::size_t end = begin + kChunk < product.count ? begin + kChunk : product.count;
      Wide sum0 = {broadcast(0), carry0};
      Wide sum1 = {broadcast(0), carry1};
      for (std::size_t i = begin; i < end; ++i) {
        __builtin_prefetch(reinterpret_cast<const void*>(later + i * 2 * word));
        __builtin_prefetch(reinterpret_cast<const void*>(later + i * 2 * word + word));
        const Vec f = load(product.digits[i] + from);
        accumulate(sum0, f, lanes.unpack(key + i * 2 * word));
        accumulate(sum1, f, lanes.unpack(key + i * 2 * word + word));
      }
      carry0 = reduce_wide(sum0, r, p);
      carry1 = reduce_wide(sum1, r, p);
    }
    carry0 = reduce_once(carry0, p.q);
    carry1 = reduce_once(carry1, p.q);
    if (kPermuted) {
      carry0 = permute_lanes(carry0, product.index + j);
      carry1 = permute_lanes(carry1, product.index + j);
    }
    store(out0 + j, carry0);
    store(out1 + j, carry1);
    later += step;
  }
}

void key_product(u64* out0, u64* out1, const KeyProduct& product, std::size_t n, const ModulusConstants& m) {
  if (product.index == nullptr) return key_product_of<false>(out0, out1, product, n, m);
  key_product_of<true>(out0, out1, product, n, m);
}

}  // namespace
}  // namespace hetorch::kernels
