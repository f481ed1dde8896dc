// Sums of products modulo q on doubles, reduced once for a chunk of terms.
//
// A sum starts at a large number B. sum' = fma(a, b, sum) is rounded to a multiple of U = ulp(B); the part that was
// rounded away, a b - (sum' - sum), is an integer of at most U / 2, exact in a double, and is summed apart. While the
// chunk fits the binade of B, sum - B is an exact multiple of U. So a term costs two fused multiply-adds and two
// additions.
#pragma once

#include "kernels/avx2_elementwise.h"
#include "kernels/tiled_sums.h"

namespace hetorch::kernels {
namespace {

// The number of terms that are summed before a reduction, and the number that their sum starts with.
struct Chunk {
  std::size_t terms;
  double start;  // B
};

// The longest chunk of products within [-2^bits, 2^bits]. For 2^e terms, B = 1.5 * 2^(bits + e + 1) has all sums in its
// binade [2^(bits + e + 1), 2^(bits + e + 2)], U = 2^(bits + e - 51), and the low parts add up to at most 2^e U / 2 =
// 2^(bits + 2e - 52), which is 2^52 for bits + 2e = 104. (The rounded sums cannot leave the binade: the products stay
// below 2^bits by more than the low parts' total / 2^e.)
inline Chunk make_chunk(int bits) {
  int e = (104 - bits) / 2;
  if (e > 6) e = 6;
  double start = 3.0;  // 1.5 * 2
  for (int i = 0; i < bits + e; ++i) start *= 2;
  return {std::size_t{1} << e, start};
}

inline int bits_of(u64 q) { return 64 - __builtin_clzll(q); }

struct Sum {
  Vector high;
  Vector low;
};

inline void accumulate(Sum& s, Vector a, Vector b) {
  const Vector next = _mm256_fmadd_pd(a, b, s.high);
  const Vector step = _mm256_sub_pd(next, s.high);
  s.low = _mm256_add_pd(s.low, _mm256_fmsub_pd(a, b, step));
  s.high = next;
}

// The sum of a chunk modulo q, |result| <= q / 2 + 1/2. H = high - B is at most 2^(bits + e). The quotient c = round(H
// / q) is within 1/2 + |H| / q 2^-52 of H / q, so |H - c q| <= q / 2 + 2^(bits + e - 52) <= 2^49 + 2^50, an exact
// integer (bits + 2e <= 104 with e >= 2 gives bits + e <= 102). With low parts up to 2^52 and a carry up to 2^49 the
// total is an integer below 2^53, and exact.
inline Vector finish(const Sum& s, Vector start, const Prime& p) {
  const Vector high = _mm256_sub_pd(s.high, start);
  const Vector c = _mm256_round_pd(_mm256_mul_pd(high, p.q_inverse), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return reduce_centred(_mm256_add_pd(_mm256_fnmadd_pd(c, p.q, high), s.low), p);
}

// Products are below 2^50 q / 2: inputs are below 2^50, and weights are taken with least magnitude, |w| <= q / 2.
void weighted_sum(u64* out, const u64* const* in, const u64* weights, std::size_t count, std::size_t n,
                  const ModulusConstants& m) {
  const Prime p(m);
  const Chunk chunk = make_chunk(50 + bits_of(m.q) - 1);
  const Vector start = broadcast(chunk.start);
  double balanced[64];
  for (std::size_t i = 0; i < count; ++i) balanced[i] = prepare_balanced(weights[i], m).w;
  for (std::size_t j = 0; j < n; j += 2 * kLanes) {
    Vector carry0 = broadcast(0.0);
    Vector carry1 = carry0;
    for (std::size_t begin = 0; begin < count; begin += chunk.terms) {
      const std::size_t end = begin + chunk.terms < count ? begin + chunk.terms : count;
      Sum sum0 = {start, carry0};
      Sum sum1 = {start, carry1};
      for (std::size_t i = begin; i < end; ++i) {
        const Vector weight = broadcast(balanced[i]);
        accumulate(sum0, load_residues(in[i] + j), weight);
        accumulate(sum1, load_residues(in[i] + j + kLanes), weight);
      }
      carry0 = finish(sum0, start, p);
      carry1 = finish(sum1, start, p);
    }
    store(out + j, canonical_bits(carry0, p));
    store(out + j + kLanes, canonical_bits(carry1, p));
  }
}

}  // namespace
}  // namespace hetorch::kernels
