// The kernel contract: loops over 64-bit residues, one function table for each instruction set.
//
// Ranges: every residue that goes in or out is canonical, in [0, q), unless a comment says otherwise. All paths give
// the same bits. Aliasing: `out` may be the same array as an input of the same length, never a shifted part of one.
// Lengths are multiples of 8 (ring degrees are >= 16). Arrays of residues are 64-byte aligned. No function allocates
// memory, and none branches on a residue or indexes by one.
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

// A constant factor prepared for repeated multiplication (Shoup). Only the path whose prepare() made it can read it.
struct Multiplier {
  u64 value = 0;
  u64 quotient = 0;
};

// Tables of one negacyclic transform (NTT). `roots[i]` and `root_quotients[i]`, i in 1..n-1, are the halves of the
// prepared powers psi^bitrev(i), psi a primitive 2n-th root of unity mod q; the inverse tables hold psi^-bitrev(i). The
// halves are stored apart so that vector paths load them contiguously.
struct NttView {
  std::size_t n = 0;
  ModulusConstants modulus;
  const u64* roots = nullptr;
  const u64* root_quotients = nullptr;
  const u64* inverse_roots = nullptr;
  const u64* inverse_root_quotients = nullptr;
  // Factors of the last inverse stage, with the scaling by n^-1 folded in.
  Multiplier n_inverse;       // of sums: n^-1 mod q, prepared
  Multiplier n_inverse_root;  // of differences: n^-1 * psi^-bitrev(1) mod q, prepared
};

// Tables of the canonical embedding. For length = 2, 4, …, slots, entry length / 2 - 1 + j, j < length / 2, is
// zeta^(5^j) with zeta = exp(2 pi i / (4 length)).
struct EmbeddingView {
  std::size_t slots = 0;  // a power of two >= 8
  const double* cosines = nullptr;
  const double* sines = nullptr;
};

// One row of a switching key, or a span of a row. A row is stored in blocks of 8 positions: for each block, for each
// digit, 8 words of b and then the same 8 of a. So an inner product reads one sequence of addresses. The words are
// packed (packed.h), because reading them from memory bounds its speed. kPackedPadding bytes after the row are
// readable.
struct KeyRow {
  const std::uint8_t* bytes;
  int bits;            // width of a word in bits: packed_bits(q)
  std::size_t digits;  // number of digits in the key

  // Size of a block of 8 positions in bytes.
  std::size_t block_bytes() const { return 2 * digits * static_cast<std::size_t>(bits); }
};

// One row of an inner product with a switching key, or a span of it.
struct KeyProduct {
  const u64* const* digits;  // `count` rows, 1 <= count <= key.digits, count <= 64
  std::size_t count;
  KeyRow key;
  const u64* addend = nullptr;           // added to the first sum, unless null
  const std::uint32_t* index = nullptr;  // out[j] = sum[index[j] - base], an automorphism as for `permute`; null: none
  std::uint32_t base = 0;
  // Prefetch hint: where the key that is read next begins, laid out as `key`. Never dereferenced.
  const std::uint8_t* ahead = nullptr;
};

// Number of positions that a kernel works on before it goes on to the next term of a linear map; part of the storage
// format below.
constexpr std::size_t kDiagonalBlock = 16;

// Products of the diagonals of a linear map with rotated inputs, summed in groups, over a span of a row. A diagonal
// consists of runs of 2^shift equal words; one word of each run is kept. The kept words of all terms are stored in the
// order of their use: for each block of kDiagonalBlock positions (or for each run, if that is longer), for each term,
// the words of the block.
struct DiagonalSums {
  const u64* values;  // kept words, from the span's first block on
  int shift;
  std::size_t terms;          // number of terms in all groups together
  const u64* const* inputs;   // for each term, the first half of its rotated input
  std::size_t half;           // distance in words from a first half to its second half
  const std::size_t* counts;  // number of terms in each group, at least one; the groups' terms follow each other
  std::size_t groups;
  u64* const* out0;  // for each group, the sum of the first halves
  u64* const* out1;  // for each group, the sum of the second halves
};

struct Kernels {
  const char* name;
  int modulus_bits;  // the path takes primes below 2^modulus_bits: 50 for avx2 and avx512ifma, 60 for the others

  // Prepare the factor w, in [0, q).
  Multiplier (*prepare)(u64 w, const ModulusConstants& m);

  // Forward: natural order in, bit-reversed order out (Cooley-Tukey, the order of SEAL). Inverse: the other way, scaled
  // by n^-1.
  void (*ntt_forward)(u64* a, const NttView& table);
  void (*ntt_inverse)(u64* a, const NttView& table);
  // The same out of place: out = transform(a). `out` is `a` itself or does not overlap it.
  void (*ntt_forward_from)(u64* out, const u64* a, const NttView& table);
  void (*ntt_inverse_from)(u64* out, const u64* a, const NttView& table);
  // out = c * inverse(a) mod q, c in [0, q): the last stage multiplies by c n^-1 in place of n^-1, so the factor costs
  // nothing. `out` is `a` itself or does not overlap it.
  void (*ntt_inverse_multiply)(u64* out, const u64* a, u64 c, const NttView& table);
  // out = (minuend - forward(a)) * c mod q, c in [0, q): the end of rescaling and of the division by P, merged into the
  // last stage. `out` is `a` itself or does not overlap it; `minuend` does not overlap `out`.
  void (*ntt_forward_subtract_multiply)(u64* out, const u64* a, const u64* minuend, u64 c, const NttView& table);

  void (*add)(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m);
  void (*subtract)(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m);
  void (*negate)(u64* out, const u64* a, std::size_t n, const ModulusConstants& m);
  void (*multiply)(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m);
  // out = (out + a * b) mod q
  void (*multiply_add)(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m);
  // out = a * c mod q, c in [0, q)
  void (*multiply_scalar)(u64* out, const u64* a, u64 c, std::size_t n, const ModulusConstants& m);
  // out = (a - b) * c mod q, c in [0, q): the end of a division by a prime. b < 2^modulus_bits (a residue of any
  // prime).
  void (*subtract_multiply_scalar)(u64* out, const u64* a, const u64* b, u64 c, std::size_t n,
                                   const ModulusConstants& m);
  // out = a mod q for any a < 2^modulus_bits (a residue of another prime that this path takes)
  void (*reduce)(u64* out, const u64* a, std::size_t n, const ModulusConstants& m);
  // out = a mod q for any a < 2^60 (a residue of a prime that may be too wide for this path)
  void (*reduce_wide)(u64* out, const u64* a, std::size_t n, const ModulusConstants& m);
  // Base conversion from one prime: out = x mod q, x the representative of a modulo `source` in (-source/2, source/2).
  // source is odd, below 2^60 and not q; a < source.
  void (*reduce_centred)(u64* out, const u64* a, u64 source, std::size_t n, const ModulusConstants& m);

  // For each group of terms, out0[group] = sum_i values_i * inputs[i] mod q, and out1[group] the same with the second
  // halves of the inputs. n is a multiple of 16, and of a run if that is longer. No output overlaps an input.
  void (*diagonal_sums)(const DiagonalSums& sums, std::size_t n, const ModulusConstants& m);
  // Inner product with a switching key: out0 = sum_i digits[i] * b_i [+ addend], out1 = sum_i digits[i] * a_i mod q,
  // permuted if there is an index. No output overlaps an input.
  void (*key_product)(u64* out0, u64* out1, const KeyProduct& product, std::size_t n, const ModulusConstants& m);
  // out0 = (out0 + p * x0) mod q, out1 = (out1 + p * x1) mod q: one factor for two accumulators.
  void (*multiply_add_pair)(u64* out0, u64* out1, const u64* p, const u64* x0, const u64* x1, std::size_t n,
                            const ModulusConstants& m);

  // Base conversion to one prime: out = sum_i in[i] * weights[i] mod q; in[i] < 2^modulus_bits (residues of other
  // primes), weights[i] in [0, q), 1 <= count <= 64.
  void (*weighted_sum)(u64* out, const u64* const* in, const u64* weights, std::size_t count, std::size_t n,
                       const ModulusConstants& m);
  // Base conversion to several primes: out[t] = sum_i in[i] * weights[t][i] mod moduli[t]->q for t < targets, with the
  // ranges of weighted_sum. Each tile of the inputs is read from memory once, and from the first-level cache for the
  // other targets. No out[t] overlaps an input.
  void (*weighted_sums)(u64* const* out, const u64* const* in, const u64* const* weights,
                        const ModulusConstants* const* moduli, std::size_t targets, std::size_t count, std::size_t n);
  // out[j] = floor(0.5 + sum_i (double)in[i][j] * inverses[i]): the multiple of the source modulus to subtract so that
  // the converted value is centred. The sum runs from i = 0 upwards, each step one rounded product and one rounded
  // addition (no fused multiply-add), so that all paths agree. in[i] < q_i; the result is in [0, count].
  void (*round_quotient)(u64* out, const u64* const* in, const double* inverses, std::size_t count, std::size_t n);

  // Automorphism in the NTT domain: out[j] = a[index[j]], j < n; out and a must not alias. `index` takes aligned blocks
  // of 8 to aligned blocks of 8, index[8 k + i] / 8 = index[8 k] / 8 for i < 8. (In bit-reversed order the low bits of
  // the exponent number the block; an automorphism multiplies exponents, and the low bits of a product depend on low
  // bits alone.)
  void (*permute)(u64* out, const u64* a, const std::uint32_t* index, std::size_t n);

  // out = a mod q for numbers in two's complement, -q < a < q.
  void (*from_signed)(u64* out, const u64* a, std::size_t n, const ModulusConstants& m);
  // Sampling by inversion of a cumulative table: out[j] is the number of bounds[i] < 2^63, i < count, that are at most
  // the low 63 bits of words[j], negated in two's complement if bit 63 of the word is set. All bounds are compared,
  // whatever the word, so the time is constant.
  void (*invert_cumulative)(u64* out, const u64* words, const u64* bounds, std::size_t count, std::size_t n);
  // Kernels on doubles. Every operation is rounded by itself (no fused multiply-add) and in one order, so that all
  // paths agree.

  // Canonical embedding, in place, natural order on both sides. embed: coefficients to values at the roots zeta^(5^j);
  // embed_inverse: the inverse of that, multiplied by `slots`. scratch: 2 * slots doubles, overwritten.
  void (*embed)(double* re, double* im, double* scratch, const EmbeddingView& table);
  void (*embed_inverse)(double* re, double* im, double* scratch, const EmbeddingView& table);
  // out = x * factor rounded to the nearest integer (ties to even); out may be x. Returns the largest magnitude of a
  // result; it is infinity or NaN if any result is.
  double (*round_scaled)(double* out, const double* x, double factor, std::size_t n);
  // out = x mod q for integers |x| < 2^50.
  void (*residues_of_reals)(u64* out, const double* x, std::size_t n, const ModulusConstants& m);
  // out = x / divisor, x the centred number modulo Q = primes[0] … primes[count - 1] with these mixed-radix digits:
  // digits[i] < primes[i] has the weight primes[0] … primes[i - 1]. A number x in the upper half (digits[count - 1] >
  // primes[count - 1] / 2) means x - Q = -(Q - 1 - x) - 1 and is summed from the digits primes[i] - 1 - digits[i], so
  // that a small negative number keeps its precision.
  void (*values_of_digits)(double* out, const u64* const* digits, const u64* primes, double divisor, std::size_t count,
                           std::size_t n);

  // Unpack words of `bits` bits, at most 50 (packed.h); kPackedPadding bytes after them are readable. `out` may be
  // aligned in any way.
  void (*unpack)(u64* out, const std::uint8_t* bytes, int bits, std::size_t n);
};

// The definition of every kernel, for any prime below 2^60.
const Kernels& portable();
// The fast paths; nullptr if this build or this machine lacks them.
const Kernels* avx2();
const Kernels* avx512ifma();
// The instructions of avx512ifma() for primes below 2^60; slower than that path for primes which it takes.
const Kernels* avx512wide();
// The two AVX-512 sources compiled with instructions that are emulated lane by lane: for tests on any machine, never
// selected.
const Kernels* avx512ifma_emulated();
const Kernels* avx512wide_emulated();

// Return the fastest usable path for primes below `modulus_bound`. The environment variable HETORCH_ISA (portable, avx2
// or avx512ifma) restricts the choice to the paths of one instruction set, with avx512wide belonging to avx512ifma, and
// to the portable path for primes that these do not take. Throws std::runtime_error if the name is unknown or its
// instructions are not available here, and for a bound above 2^60.
const Kernels& select(u64 modulus_bound);

}  // namespace hetorch::kernels
