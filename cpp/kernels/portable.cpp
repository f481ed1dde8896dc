// The definition of every kernel, in plain 64-bit integers, for any odd prime below 2^60. The other paths must give the
// same bits.
#include <cmath>
#include <cstring>

#include "kernels/api.h"
#include "kernels/embedding.h"
#include "kernels/reals.h"
#include "kernels/tiled_sums.h"

namespace hetorch::kernels {

namespace {

// x < 2q, q < 2^62 -> x mod q, without a branch: if the sign bit of x - q is set, q is added again.
inline u64 reduce_once(u64 x, u64 q) {
  const u64 d = x - q;
  return d + (q & (0 - (d >> 63)));
}

inline u64 multiply_high(u64 a, u64 b) { return static_cast<u64>((u128{a} * b) >> 64); }

// Any 64-bit a -> a mod q. With h = floor(2^64 / q) the estimate floor(a h / 2^64) is floor(a / q) or one less.
inline u64 barrett64(u64 a, const ModulusConstants& m) {
  return reduce_once(a - multiply_high(a, m.barrett_high) * m.q, m.q);
}

// Any 128-bit a -> a mod q. With r = floor(2^128 / q) the estimate floor(a r / 2^128) is floor(a / q) or one less. Its
// low word suffices, because the remainder is below 2q.
inline u64 barrett128(u128 a, const ModulusConstants& m) {
  const u64 low = static_cast<u64>(a);
  const u64 high = static_cast<u64>(a >> 64);
  const u128 middle0 = u128{low} * m.barrett_high + multiply_high(low, m.barrett_low);
  const u128 middle1 = u128{high} * m.barrett_low + static_cast<u64>(middle0);
  const u64 estimate = high * m.barrett_high + static_cast<u64>(middle0 >> 64) + static_cast<u64>(middle1 >> 64);
  return reduce_once(low - estimate * m.q, m.q);
}

// Shoup's product: any 64-bit y -> y w mod q in [0, 2q), with quotient = floor(w 2^64 / q).
inline u64 multiply_lazy(u64 y, u64 w, u64 quotient, u64 q) { return y * w - multiply_high(y, quotient) * q; }

Multiplier prepare(u64 w, const ModulusConstants& m) { return {w, static_cast<u64>((u128{w} << 64) / m.q)}; }

// Butterflies by D. Harvey, "Faster arithmetic for number-theoretic transforms", 2014: numbers stay below 4q in the
// forward and below 2q in the inverse transform.
void ntt_forward(u64* a, const NttView& t) {
  const u64 q = t.modulus.q;
  const u64 twice = 2 * q;
  for (std::size_t groups = 1, half = t.n / 2; half > 0; groups *= 2, half /= 2) {
    for (std::size_t g = 0; g < groups; ++g) {
      const u64 w = t.roots[groups + g];
      const u64 quotient = t.root_quotients[groups + g];
      u64* x = a + 2 * half * g;
      u64* y = x + half;
      for (std::size_t j = 0; j < half; ++j) {
        const u64 u = reduce_once(x[j], twice);
        const u64 v = multiply_lazy(y[j], w, quotient, q);
        x[j] = u + v;
        y[j] = u + twice - v;
      }
    }
  }
  for (std::size_t j = 0; j < t.n; ++j) a[j] = reduce_once(reduce_once(a[j], twice), q);
}

// The inverse transform whose last stage multiplies sums by `sum` and differences by `difference`.
void inverse_with(u64* a, const Multiplier& sum, const Multiplier& difference, const NttView& t) {
  const u64 q = t.modulus.q;
  const u64 twice = 2 * q;
  for (std::size_t groups = t.n / 2, half = 1; groups > 1; groups /= 2, half *= 2) {
    for (std::size_t g = 0; g < groups; ++g) {
      const u64 w = t.inverse_roots[groups + g];
      const u64 quotient = t.inverse_root_quotients[groups + g];
      u64* x = a + 2 * half * g;
      u64* y = x + half;
      for (std::size_t j = 0; j < half; ++j) {
        const u64 u = x[j];
        const u64 v = y[j];
        x[j] = reduce_once(u + v, twice);
        y[j] = multiply_lazy(u + twice - v, w, quotient, q);
      }
    }
  }
  u64* y = a + t.n / 2;
  for (std::size_t j = 0; j < t.n / 2; ++j) {
    const u64 u = a[j];
    const u64 v = y[j];
    a[j] = reduce_once(multiply_lazy(u + v, sum.value, sum.quotient, q), q);
    y[j] = reduce_once(multiply_lazy(u + twice - v, difference.value, difference.quotient, q), q);
  }
}

void ntt_inverse(u64* a, const NttView& t) { inverse_with(a, t.n_inverse, t.n_inverse_root, t); }

void copy(u64* out, const u64* a, std::size_t n) {
  if (out != a) std::memcpy(out, a, n * sizeof(u64));
}

void ntt_forward_from(u64* out, const u64* a, const NttView& t) {
  copy(out, a, t.n);
  ntt_forward(out, t);
}

void ntt_inverse_from(u64* out, const u64* a, const NttView& t) {
  copy(out, a, t.n);
  ntt_inverse(out, t);
}

void ntt_inverse_multiply(u64* out, const u64* a, u64 c, const NttView& t) {
  copy(out, a, t.n);
  const ModulusConstants& m = t.modulus;
  const Multiplier sum = prepare(barrett128(u128{c} * t.n_inverse.value, m), m);
  const Multiplier difference = prepare(barrett128(u128{c} * t.n_inverse_root.value, m), m);
  inverse_with(out, sum, difference, t);
}

void add(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  for (std::size_t j = 0; j < n; ++j) out[j] = reduce_once(a[j] + b[j], m.q);
}

void subtract(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  for (std::size_t j = 0; j < n; ++j) out[j] = reduce_once(a[j] + m.q - b[j], m.q);
}

void negate(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  for (std::size_t j = 0; j < n; ++j) out[j] = reduce_once(m.q - a[j], m.q);
}

void multiply(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  for (std::size_t j = 0; j < n; ++j) out[j] = barrett128(u128{a[j]} * b[j], m);
}

void multiply_add(u64* out, const u64* a, const u64* b, std::size_t n, const ModulusConstants& m) {
  for (std::size_t j = 0; j < n; ++j) out[j] = barrett128(u128{a[j]} * b[j] + out[j], m);
}

void multiply_scalar(u64* out, const u64* a, u64 c, std::size_t n, const ModulusConstants& m) {
  const Multiplier w = prepare(c, m);
  for (std::size_t j = 0; j < n; ++j) out[j] = reduce_once(multiply_lazy(a[j], w.value, w.quotient, m.q), m.q);
}

void subtract_multiply_scalar(u64* out, const u64* a, const u64* b, u64 c, std::size_t n, const ModulusConstants& m) {
  const Multiplier w = prepare(c, m);
  const u64 raise = ((u64{1} << 60) / m.q + 1) * m.q;
  for (std::size_t j = 0; j < n; ++j) {
    out[j] = reduce_once(multiply_lazy(a[j] + raise - b[j], w.value, w.quotient, m.q), m.q);
  }
}

void ntt_forward_subtract_multiply(u64* out, const u64* a, const u64* minuend, u64 c, const NttView& t) {
  ntt_forward_from(out, a, t);
  subtract_multiply_scalar(out, minuend, out, c, t.n, t.modulus);
}

void reduce(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  for (std::size_t j = 0; j < n; ++j) out[j] = barrett64(a[j], m);
}

// Where a is above source / 2, a - source is formed as a + missing: the two are congruent modulo q.
void reduce_centred(u64* out, const u64* a, u64 source, std::size_t n, const ModulusConstants& m) {
  const u64 missing = m.q - source % m.q;
  for (std::size_t j = 0; j < n; ++j) {
    const u64 above = 0 - ((source / 2 - a[j]) >> 63);
    out[j] = barrett64(a[j] + (missing & above), m);
  }
}

// 64 products below 2^120 add up to less than 2^126, so each sum is reduced once, at the end.
void inner_product_pair(u64* out0, u64* out1, const u64* const* a, const u64* const* b0, const u64* const* b1,
                        std::size_t count, std::size_t n, const ModulusConstants& m) {
  for (std::size_t j = 0; j < n; ++j) {
    u128 sum0 = 0;
    u128 sum1 = 0;
    for (std::size_t i = 0; i < count; ++i) {
      sum0 += u128{a[i][j]} * b0[i][j];
      sum1 += u128{a[i][j]} * b1[i][j];
    }
    out0[j] = barrett128(sum0, m);
    out1[j] = barrett128(sum1, m);
  }
}

void multiply_add_pair(u64* out0, u64* out1, const u64* p, const u64* x0, const u64* x1, std::size_t n,
                       const ModulusConstants& m) {
  for (std::size_t j = 0; j < n; ++j) {
    const u64 factor = p[j];
    const u64 sum0 = barrett128(u128{factor} * x0[j] + out0[j], m);
    out1[j] = barrett128(u128{factor} * x1[j] + out1[j], m);
    out0[j] = sum0;
  }
}

void weighted_sum(u64* out, const u64* const* in, const u64* weights, std::size_t count, std::size_t n,
                  const ModulusConstants& m) {
  for (std::size_t j = 0; j < n; ++j) {
    u128 sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += u128{in[i][j]} * weights[i];
    out[j] = barrett128(sum, m);
  }
}

void round_quotient(u64* out, const u64* const* in, const double* inverses, std::size_t count, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(in[i][j]) * inverses[i];
    out[j] = static_cast<u64>(std::floor(0.5 + sum));
  }
}

void permute(u64* out, const u64* a, const std::uint32_t* index, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) out[j] = a[index[j]];
}

void from_signed(u64* out, const u64* a, std::size_t n, const ModulusConstants& m) {
  for (std::size_t j = 0; j < n; ++j) out[j] = a[j] + (m.q & (0 - (a[j] >> 63)));
}

void invert_cumulative(u64* out, const u64* words, const u64* bounds, std::size_t count, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    const u64 uniform = words[j] & (~u64{0} >> 1);
    u64 magnitude = 0;
    for (std::size_t i = 0; i < count; ++i) magnitude += 1 - ((uniform - bounds[i]) >> 63);  // a borrow: both < 2^63
    const u64 sign = 0 - (words[j] >> 63);
    out[j] = (magnitude ^ sign) - sign;
  }
}

// raise: a multiple of q above 2^50 > |x|, so that x + raise is positive.
void residues_of_reals(u64* out, const double* x, std::size_t n, const ModulusConstants& m) {
  const u64 raise = ((u64{1} << 50) / m.q + 1) * m.q;
  for (std::size_t j = 0; j < n; ++j) {
    out[j] = barrett64(static_cast<u64>(static_cast<std::int64_t>(x[j])) + raise, m);
  }
}

}  // namespace

const Kernels& portable() {
  static const Kernels table = {
      "portable",
      60,
      prepare,
      ntt_forward,
      ntt_inverse,
      ntt_forward_from,
      ntt_inverse_from,
      ntt_inverse_multiply,
      ntt_forward_subtract_multiply,
      add,
      subtract,
      negate,
      multiply,
      multiply_add,
      multiply_scalar,
      subtract_multiply_scalar,
      reduce,
      reduce,  // reduce_wide
      reduce_centred,
      gathered_diagonal_sums<inner_product_pair, add>,
      gathered_key_product<inner_product_pair, add, permute>,
      multiply_add_pair,
      weighted_sum,
      tiled_weighted_sums<weighted_sum>,
      round_quotient,
      permute,
      from_signed,
      invert_cumulative,
      embed,
      embed_inverse,
      round_scaled,
      residues_of_reals,
      values_of_digits<false>,
      unpack_words,
  };
  return table;
}

}  // namespace hetorch::kernels
