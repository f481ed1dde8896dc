// The kernel contract: loops over 64-bit residues, one function table for each instruction set.
//
// Ranges: every residue that goes in or out is canonical, in [0, q), unless a line says otherwise. All paths give the
// same bits. Aliasing: `out` may be the same array as an input of the same length, never a shifted part of one. Lengths
// are multiples of 8 (ring degrees are >= 16). Arrays of residues are 64-byte aligned. No function allocates, branches
// on or indexes by residue values.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hetorch::kernels {

using u64 = std::uint64_t;
using u128 = unsigned __int128;

// Constants of one prime, made once by make_modulus_constants().
struct ModulusConstants {
  u64 q = 0;
  u64 barrett_high = 0;  // floor(2^128 / q), high and low word
  u64 barrett_low = 0;
  u64 montgomery52 = 0;  // -q^-1 mod 2^52 (q odd)
  u64 radix52 = 0;       // 2^52 mod q
  u64 radix104 = 0;      // 2^104 mod q
  double q_double = 0;   // q as a double; exact for q < 2^53
  double q_inverse = 0;  // nearest double to 1/q
};

ModulusConstants make_modulus_constants(u64 q);

// A factor prepared for repeated multiplication; its meaning belongs to the path that made it.
struct Multiplier {
  u64 value = 0;
  u64 quotient = 0;
};

// Tables of one negacyclic transform. `roots[i]`/`quotients[i]` for i in 1..n-1 are the prepared powers psi^bitrev(i)
// (psi a primitive 2n-th root of unity mod q); the inverse tables hold the prepared psi^-bitrev(i). They are stored
// apart so that vector paths load them contiguously.
struct NttView {
  std::size_t n = 0;
  ModulusConstants modulus;
  const u64* roots = nullptr;
  const u64* root_quotients = nullptr;
  const u64* inverse_roots = nullptr;
  const u64* inverse_root_quotients = nullptr;
  Multiplier n_inverse;  // n^-1 mod q, prepared
  Multiplier
      n_inverse_root;  // n^-1 * psi^-bitrev(1) mod q, prepared: the last inverse stage with the scaling folded in
};

// Tables of the canonical embedding: zeta^(5^j) with zeta = exp(2 pi i / (4 length)) for j < length / 2 at offset
// length / 2 - 1, for length = 2, 4, …, slots.
struct EmbeddingView {
  std::size_t slots = 0;  // a power of two >= 8
  const double* cosines = nullptr;
  const double* sines = nullptr;
};

// One row of a switching key, or a span of it. It is stored in blocks of 8 words: for each block of the row, for each
// digit, 8 words of b and the same 8 of a, so that all a position needs is one stream in memory; packed (packed.h),
// because that stream is what bounds an inner product. kPackedPadding bytes after it can be read.
struct KeyRow {
  const std::uint8_t* bytes;
  int bits;            // of a word: packed_bits(q)
  std::size_t digits;  // of the key

  // Bytes of all that a block of 8 positions needs.
  std::size_t block_bytes() const { return 2 * digits * static_cast<std::size_t>(bits); }
};

// One row of an inner product with a switching key, or a span of it.
struct KeyProduct {
  const u64* const* digits;  // `count` of them, 1 <= count <= key.digits, count <= 64
  std::size_t count;
  KeyRow key;
  const u64* addend = nullptr;           // added to the first sum
  const std::uint32_t* index = nullptr;  // out[j] = sum[index[j] - base]: an automorphism, as for `permute`
  std::uint32_t base = 0;
  // What will be read next, laid out as `key`: asked for while this is worked on. Nothing is read; any address will do.
  const std::uint8_t* ahead = nullptr;
};

// A span of a row of products of diagonals with rotated inputs. A diagonal has runs of 2^shift equal words, of which
// one is kept. The kept words of all terms are one stream in the order of their use: for each block of kDiagonalBlock
// positions (or for each run, if that is longer), for each term, the words of the block.
constexpr std::size_t kDiagonalBlock = 16;

struct DiagonalSums {
  const u64* values;  // of the span's first block
  int shift;
  std::size_t terms;          // of all groups
  const u64* const* inputs;   // for each term the first half of its rotated input
  std::size_t half;           // words from there to the second half
  const std::size_t* counts;  // terms of each group, one after the other; at least one each
  std::size_t groups;
  u64* const* out0;  // for each group
  u64* const* out1;
};

struct Kernels {
  const char* name;
  int modulus_bits;  // primes below 2^modulus_bits: 50 on the narrow SIMD paths, 60 on avx512wide and portable

  // w in [0, q).
  Multiplier (*prepare)(u64 w, const ModulusConstants& m);

  // Forward: natural order in, bit-reversed order out (Cooley-Tukey, as SEAL). Inverse: the other way, with n^-1
  // applied.
  void (*ntt_forward)(u64* a, const NttView& table);
  void (*ntt_inverse)(u64* a, const NttView& table);
  // The same out of place: out = transform(a). `out` is `a` itself or does not overlap it.
  void (*ntt_forward_from)(u64* out, const u64* a, const NttView& table);
  void (*ntt_inverse_from)(u64* out, const u64* a, const NttView& table);
  // out = c * inverse(a) mod q, c in [0, q): the last stage multiplies by c n^-1 in place of n^-1, so the factor is
  // free. Aliasing as above.
  void (*ntt_inverse_multiply)(u64* out, const u64* a, u64 c, const NttView& table);
  // out = (minuend - forward(a)) * c mod q, c in [0, q): the tail of rescale and of mod-down in the last stage. `out`
  // is `a` itself or does not overlap it; `minuend` does not overlap `out`.
  void (*ntt_forward_subtract_multiply)(u64* out, const u64* a, const u64* minuend, u64 c, const NttView& table);

  void (*add)(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m);
  void (*subtract)(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m);
  void (*negate)(u64* out, const u64* a, std::size_t n, const ModulusConstants& m);
  void (*multiply)(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m);
  // out = (out + a * b) mod q
  void (*multiply_add)(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m);
  // out = a * c mod q, c in [0, q)
  void (*multiply_scalar)(u64* out, const u64* a, u64 c, std::size_t n, const ModulusConstants& m);
  // out = (a - b) * c mod q: the tail of rescale and of mod-down. b < 2^modulus_bits (a residue of any prime).
  void (*subtract_multiply_scalar)(u64* out, const u64* a, const u64* b, u64 c, std::size_t n,
                                   const ModulusConstants& m);
  // out = a mod q for any a < 2^modulus_bits (a residue of another prime)
  void (*reduce)(u64* out, const u64* a, std::size_t n, const ModulusConstants& m);
  // out = a mod q for any a < 2^60: a residue of a prime that may be too wide for this path
  void (*reduce_wide)(u64* out, const u64* a, std::size_t n, const ModulusConstants& m);
  // out = x mod q, x the representative of a modulo `source` in (-source/2, source/2); source odd, below 2^60 and not
  // q, a < source. The base conversion from one prime.
  void (*reduce_centred)(u64* out, const u64* a, u64 source, std::size_t n, const ModulusConstants& m);

  // For each group of terms, out0[group] = sum_i values_i * inputs[i], out1[group] = the same of the second halves mod
  // q. n a multiple of 16, or of the run if that is longer. No output overlaps an input.
  void (*diagonal_sums)(const DiagonalSums& sums, std::size_t n, const ModulusConstants& m);
  // out0 = sum_i digits[i] * b_i [+ addend], out1 = sum_i digits[i] * a_i mod q, permuted where there is an index. No
  // output overlaps an input.
  void (*key_product)(u64* out0, u64* out1, const KeyProduct& product, std::size_t n, const ModulusConstants& m);
  // out0 = (out0 + p * x0) mod q, out1 = (out1 + p * x1) mod q: one diagonal into both halves of an accumulator.
  void (*multiply_add_pair)(u64* out0, u64* out1, const u64* p, const u64* x0, const u64* x1, std::size_t n,
                            const ModulusConstants& m);

  // The base conversion. weighted_sum: out = sum_i in[i] * weights[i] mod q; in[i] < 2^modulus_bits (residues of other
  // primes), weights[i] in [0, q), 1 <= count <= 64.
  void (*weighted_sum)(u64* out, const u64* const* in, const u64* weights, std::size_t count, std::size_t n,
                       const ModulusConstants& m);
  // weighted_sum for several target primes: out[t] = sum_i in[i] * weights[t][i] mod moduli[t]->q for t < targets. The
  // inputs are read tile by tile, so that they come from the first-level cache for all targets but one. No out[t]
  // overlaps an input.
  void (*weighted_sums)(u64* const* out, const u64* const* in, const u64* const* weights,
                        const ModulusConstants* const* moduli, std::size_t targets, std::size_t count, std::size_t n);
  // out[j] = floor(0.5 + sum_i (double)in[i][j] * inverses[i]): how many times the source modulus must be subtracted so
  // that the converted value is centred. The sum runs from i = 0 upwards, each step one rounded product and one rounded
  // addition (no fused multiply-add), so that all paths agree. in[i] < q_i, result in [0, count].
  void (*round_quotient)(u64* out, const u64* const* in, const double* inverses, std::size_t count, std::size_t n);

  // out[j] = a[index[j]], j < n; out and a must not alias. The automorphism in the NTT domain: `index` takes aligned
  // blocks of 8 to aligned blocks of 8, index[8 k + i] / 8 = index[8 k] / 8 for i < 8. (In bit-reversed order the block
  // of j is the low bits of the exponent, and an automorphism multiplies exponents: low bits depend on low bits.)
  void (*permute)(u64* out, const u64* a, const std::uint32_t* index, std::size_t n);

  // out = a mod q for numbers in two's complement, -q < a < q.
  void (*from_signed)(u64* out, const u64* a, std::size_t n, const ModulusConstants& m);
  // Inversion of a table of probabilities: how many of the bounds[i] < 2^63, i < count, are at most the low 63 bits of
  // words[j]; negated, in two's complement, when bit 63 of the word is set. All bounds are compared, whatever the word.
  void (*invert_cumulative)(u64* out, const u64* words, const u64* bounds, std::size_t count, std::size_t n);
  // Doubles. Every operation is rounded by itself (no fused multiply-add) and in one order, so that all paths agree.
  // embed: coefficients to values at the roots zeta^(5^j), in place, natural order on both sides; embed_inverse: slots
  // times the way back. scratch: 2 * slots doubles, overwritten.
  void (*embed)(double* re, double* im, double* scratch, const EmbeddingView& table);
  void (*embed_inverse)(double* re, double* im, double* scratch, const EmbeddingView& table);
  // out = x * factor rounded to the nearest integer (ties to even); out may be x. Returns the largest magnitude, which
  // is infinity or NaN if any result is.
  double (*round_scaled)(double* out, const double* x, double factor, std::size_t n);
  // out = x mod q for integers |x| < 2^50.
  void (*residues_of_reals)(u64* out, const double* x, std::size_t n, const ModulusConstants& m);
  // Mixed-radix digits, digits[i] < primes[i] of weight primes[0] … primes[i - 1], as the double of the number nearest
  // to zero that they stand for modulo the product, divided by `divisor`. A number above the middle (digits[count - 1]
  // > primes[count - 1] / 2) is -(Q - 1 - x) - 1 and is summed from the digits primes[i] - 1 - digits[i], so that a
  // small negative number keeps its precision.
  void (*values_of_digits)(double* out, const u64* const* digits, const u64* primes, double divisor, std::size_t count,
                           std::size_t n);
};

// The definition (any prime < 2^60) and the fast paths; a fast path is nullptr where this build or this machine lacks
// it.
const Kernels& portable();
const Kernels* avx2();
const Kernels* avx512ifma();
// The same instructions for primes below 2^60; slower than avx512ifma() where that will do.
const Kernels* avx512wide();
// The two AVX-512 sources compiled against lane-by-lane emulated instructions, for tests on any machine; never
// selected.
const Kernels* avx512ifma_emulated();
const Kernels* avx512wide_emulated();

// The fastest usable path for primes below `modulus_bound`; HETORCH_ISA=portable|avx2|avx512ifma restricts the choice
// to the paths of one instruction set, avx512wide belonging to avx512ifma (a name that is unknown or not available here
// throws std::runtime_error).
const Kernels& select(u64 modulus_bound);

}  // namespace hetorch::kernels
