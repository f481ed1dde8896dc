// Element-wise products, sums and base conversion on doubles.
#pragma once

#include "kernels/avx2_vector.h"

namespace hetorch::kernels {
namespace {

inline __m256i load_integers(const u64* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline void store_integers(u64* p, __m256i x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
inline __m256i broadcast_integer(u64 x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }

// x in [-q, q) as a signed integer -> x mod q; blendv reads the sign bit of each lane.
inline __m256i lift_negative(__m256i x, __m256i q) {
  const __m256i lifted = _mm256_add_epi64(x, q);
  return _mm256_castpd_si256(
      _mm256_blendv_pd(_mm256_castsi256_pd(x), _mm256_castsi256_pd(lifted), _mm256_castsi256_pd(x)));
}

void add(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  const __m256i q = broadcast_integer(m.q);
  for (std::size_t j = 0; j < n; j += kLanes) {
    const __m256i sum = _mm256_add_epi64(load_integers(a + j), load_integers(b + j));
    store_integers(out + j, lift_negative(_mm256_sub_epi64(sum, q), q));
  }
}

void subtract(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  const __m256i q = broadcast_integer(m.q);
  for (std::size_t j = 0; j < n; j += kLanes) {
    store_integers(out + j, lift_negative(_mm256_sub_epi64(load_integers(a + j), load_integers(b + j)), q));
  }
}

void negate(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  const __m256i q = broadcast_integer(m.q);
  for (std::size_t j = 0; j < n; j += kLanes) {
    store_integers(out + j, lift_negative(_mm256_sub_epi64(_mm256_setzero_si256(), load_integers(a + j)), q));
  }
}

void multiply(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    store(out + j, canonical_bits(multiply_residues(load_residues(a + j), load_residues(b + j), p), p));
  }
}

// (sum + product) mod q, sum in [0, q) given as an integer's bits: the product is lifted to [0, q), sum - q is in
// [-q, 0). offset: 2^52 + q.
inline Vector add_product(Vector sum_bits, Vector product, const Prime& p, double offset) {
  return canonical_bits(_mm256_add_pd(to_double(sum_bits, offset), make_positive(product, p)), p);
}

void multiply_add(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const double offset = kTwo52 + m.q_double;  // exact: below 2^53
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vector product = multiply_residues(load_residues(a + j), load_residues(b + j), p);
    store(out + j, add_product(load(out + j), product, p, offset));
  }
}

void multiply_add_pair(u64* out0, u64* out1, const u64* factor, const u64* x0, const u64* x1, std::size_t n,
                       const ModulusConstants& m) {
  const Prime p(m);
  const double offset = kTwo52 + m.q_double;
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vector f = load_residues(factor + j);
    const Vector product0 = multiply_residues(f, load_residues(x0 + j), p);
    const Vector product1 = multiply_residues(f, load_residues(x1 + j), p);
    store(out0 + j, add_product(load(out0 + j), product0, p, offset));
    store(out1 + j, add_product(load(out1 + j), product1, p, offset));
  }
}

// A factor w as the representative of least magnitude, |w| <= q / 2, and w / q, both as doubles.
struct Prepared {
  double w;
  double w_over_q;
};

inline Prepared prepare_balanced(u64 w, const ModulusConstants& m) {
  const double balanced = static_cast<double>(w) - (w > m.q / 2 ? m.q_double : 0.0);
  return {balanced, balanced / m.q_double};
}

Multiplier prepare(u64 w, const ModulusConstants& m) {
  const Prepared r = prepare_balanced(w, m);
  return {__builtin_bit_cast(u64, r.w), __builtin_bit_cast(u64, r.w_over_q)};
}

// The residue in [0, q) from which prepare() made `f`.
inline u64 prepared_value(const Multiplier& f, u64 q) {
  const long long balanced = static_cast<long long>(__builtin_bit_cast(double, f.value));
  return static_cast<u64>(balanced) + (balanced < 0 ? q : 0);
}

void multiply_scalar(u64* out, const u64* a, u64 c, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const Prepared r = prepare_balanced(c, m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vector product = multiply_prepared(load_residues(a + j), broadcast(r.w), broadcast(r.w_over_q), p);
    store(out + j, canonical_bits(product, p));
  }
}

void subtract_multiply_scalar(u64* out, const u64* a, const u64* b, u64 c, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  const Prepared r = prepare_balanced(c, m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    const Vector difference = _mm256_sub_pd(load_residues(a + j), load_residues(b + j));
    store(out + j, canonical_bits(multiply_prepared(difference, broadcast(r.w), broadcast(r.w_over_q), p), p));
  }
}

// For a < 2^50 the centred remainder is within q / 2 + 1/2 <= q - 1, as q >= 3.
void reduce(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    store(out + j, canonical_bits(reduce_centred(load_residues(a + j), p), p));
  }
}

// Reduction of x < 2^62. x = upper 2^30 + lower: the product upper (2^30 mod q) is within 5/8 q, and its sum with lower
// an integer below 2^50 + 2^30.
struct WideReduction {
  explicit WideReduction(const ModulusConstants& m) : p(m), r(prepare_balanced((u64{1} << 30) % m.q, m)) {}
  Vector operator()(__m256i x) const {
    const __m256i mask = broadcast_integer((u64{1} << 30) - 1);
    const Vector upper = to_double(_mm256_castsi256_pd(_mm256_srli_epi64(x, 30)));
    const Vector lower = to_double(_mm256_castsi256_pd(_mm256_and_si256(x, mask)));
    const Vector product = multiply_prepared(upper, broadcast(r.w), broadcast(r.w_over_q), p);
    return canonical_bits(reduce_centred(_mm256_add_pd(product, lower), p), p);
  }
  Prime p;
  Prepared r;
};

void reduce_wide(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  const WideReduction reduction(m);
  for (std::size_t j = 0; j < n; j += kLanes) store(out + j, reduction(load_integers(a + j)));
}

// Where a is above source / 2, a - source is formed as a + missing: the two are congruent modulo q.
void reduce_centred_residues(u64* out, const u64* a, u64 source, std::size_t n, const ModulusConstants& m) {
  const WideReduction reduction(m);
  const __m256i half = broadcast_integer(source / 2);
  const __m256i missing = broadcast_integer(m.q - source % m.q);
  const bool narrow = source >> 50 == 0;  // the sum is below 2^51
  for (std::size_t j = 0; j < n; j += kLanes) {
    const __m256i x = load_integers(a + j);
    const __m256i sum = _mm256_add_epi64(x, _mm256_and_si256(missing, _mm256_cmpgt_epi64(x, half)));
    store(out + j, narrow
                       ? canonical_bits(reduce_centred(to_double(_mm256_castsi256_pd(sum)), reduction.p), reduction.p)
                       : reduction(sum));
  }
}

// For integers |x| < 2^50.
void residues_of_reals(u64* out, const double* x, std::size_t n, const ModulusConstants& m) {
  const Prime p(m);
  for (std::size_t j = 0; j < n; j += kLanes) {
    // Adding +0 turns a -0 into +0, as canonical_bits() needs it.
    const Vector value = _mm256_add_pd(_mm256_loadu_pd(x + j), broadcast(0.0));
    store(out + j, canonical_bits(reduce_centred(value, p), p));
  }
}

// Each product and each sum is rounded by itself, as the contract demands.
void round_quotient(u64* out, const u64* const* in, const double* inverses, std::size_t count, std::size_t n) {
  for (std::size_t j = 0; j < n; j += kLanes) {
    Vector sum = broadcast(0.0);
    for (std::size_t i = 0; i < count; ++i) {
      sum = _mm256_add_pd(sum, _mm256_mul_pd(load_residues(in[i] + j), broadcast(inverses[i])));
    }
    const Vector rounded = _mm256_floor_pd(_mm256_add_pd(broadcast(0.5), sum));
    store(out + j, _mm256_xor_pd(_mm256_add_pd(rounded, broadcast(kTwo52)), broadcast(kTwo52)));
  }
}

void from_signed(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  const __m256i q = broadcast_integer(m.q);
  for (std::size_t j = 0; j < n; j += kLanes) store_integers(out + j, lift_negative(load_integers(a + j), q));
}

void invert_cumulative(u64* out, const u64* words, const u64* bounds, std::size_t count, std::size_t n) {
  const __m256i mask = broadcast_integer(~u64{0} >> 1);
  for (std::size_t j = 0; j < n; j += kLanes) {
    const __m256i word = load_integers(words + j);
    const __m256i uniform = _mm256_and_si256(word, mask);
    __m256i magnitude = broadcast_integer(0);  // the comparison is signed: both operands are below 2^63
    for (std::size_t i = 0; i < count; ++i) {
      magnitude = _mm256_sub_epi64(magnitude, _mm256_cmpgt_epi64(uniform, broadcast_integer(bounds[i] - 1)));
    }
    const __m256i sign = _mm256_cmpgt_epi64(_mm256_setzero_si256(), word);
    store_integers(out + j, _mm256_sub_epi64(_mm256_xor_si256(magnitude, sign), sign));
  }
}

// By scalar loads: on processors that have no more than AVX2, a gather of four takes longer than four loads.
void permute(u64* out, const u64* a, const std::uint32_t* index, std::size_t n) {
  for (std::size_t j = 0; j < n; j += kLanes) {
    for (std::size_t k = 0; k < kLanes; ++k) out[j + k] = a[index[j + k]];
  }
}

}  // namespace
}  // namespace hetorch::kernels
