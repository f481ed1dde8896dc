// Modular arithmetic with 52-bit multiply-add for odd q < 2^50. Included after vec512.h or vec512_emulated.h, and like
// them in an unnamed namespace: each path has its own copy.
#pragma once

namespace hetorch::kernels {
namespace {

constexpr u64 kMask52 = (u64{1} << 52) - 1;

// A prepared factor: value = w, quotient = floor(w 2^52 / q).
Multiplier prepare(u64 w, const ModulusConstants& m) { return {w, static_cast<u64>((u128{w} << 52) / m.q)}; }

inline int bits_of(u64 q) { return 64 - __builtin_clzll(q); }

struct Factor {
  Vec w;
  Vec quotient;
};

inline Factor broadcast_factor(const Multiplier& f) { return {broadcast(f.value), broadcast(f.quotient)}; }

struct Prime {
  explicit Prime(const ModulusConstants& m)
      : q(broadcast(m.q)),
        twice(broadcast(2 * m.q)),
        negative(broadcast((u64{1} << 52) - m.q)),
        mask(broadcast(kMask52)),
        one(broadcast(prepare(1, m).quotient)),
        exact(broadcast(static_cast<u64>((u128{1} << (51 + bits_of(m.q))) / m.q) + 1)),
        shift(broadcast(static_cast<u64>(bits_of(m.q) - 1))),
        below(subtract(exact, broadcast(1))),
        lift(broadcast(static_cast<u64>(52 - bits_of(m.q)))) {}
  Vec q;
  Vec twice;
  Vec negative;  // -q mod 2^52
  Vec mask;
  Vec one;    // floor(2^52 / q)
  Vec exact;  // ceil(2^(52 + shift) / q) < 2^52
  Vec shift;  // bits of q - 1
  Vec below;  // floor(2^(52 + shift) / q)
  Vec lift;   // 52 - bits of q: what a residue can be shifted by
};

// x in [0, 2 bound) -> [0, bound), congruent when bound is a multiple of q: a difference that wraps is never the
// minimum.
inline Vec reduce_once(Vec x, Vec bound) { return minimum(x, subtract(x, bound)); }

// Shoup: any y < 2^52 -> y w mod q in [0, 2q). floor(y quotient / 2^52) is at most 2 below y w / q, so the remainder is
// below 2q < 2^52 and its low 52 bits are all of it.
inline Vec multiply_prepared(Vec y, const Factor& f, const Prime& p) {
  const Vec c = multiply_high(broadcast(0), y, f.quotient);
  return bit_and(multiply_low(multiply_low(broadcast(0), y, f.w), c, p.negative), p.mask);
}

// Any x < 2^52 -> x mod q in [0, 2q).
inline Vec reduce_lazy(Vec x, const Prime& p) {
  return bit_and(multiply_low(x, multiply_high(broadcast(0), x, p.one), p.negative), p.mask);
}

// x < 2^52 -> [0, q), whatever stands above bit 51.
inline Vec canonical(Vec x, const Prime& p) { return reduce_once(reduce_lazy(x, p), p.q); }

// x < 2^51 -> [0, q), whatever stands above bit 51. floor(x exact / 2^(52 + shift)) is floor(x / q): it is not less,
// and the estimate exceeds x / q by less than 2^51 / 2^(52 + shift) <= 2^-bits < 1 / q, while x / q is at least 1 / q
// below the next integer.
inline Vec canonical_half(Vec x, const Prime& p) {
  const Vec c = shift_right(multiply_high(broadcast(0), x, p.exact), p.shift);
  return bit_and(multiply_low(x, c, p.negative), p.mask);
}

// floor(w 2^51 / q) or one less for w in [0, q), from w alone: half of a prepared quotient.
inline Vec half_quotient(Vec w, const Prime& p) { return multiply_high(broadcast(0), shift_left(w, p.lift), p.below); }

// A sum of products high 2^52 + low.
struct Wide {
  Vec high;
  Vec low;
};

inline void accumulate(Wide& s, Vec a, Vec b) {
  s.low = multiply_low(s.low, a, b);
  s.high = multiply_high(s.high, a, b);
}

// Montgomery's step by 2^52 and a prepared factor 2^52 mod q that undoes it.
struct WideReduction {
  explicit WideReduction(const ModulusConstants& m)
      : inverse(broadcast(m.montgomery52)), radix(broadcast_factor(prepare(m.radix52, m))) {}
  Vec inverse;  // -q^-1 mod 2^52
  Factor radix;
};

// high 2^52 + low mod q in [0, 2q), for low < 2^64 - 2^52 and high + low / 2^52 + q + 1 < 2^52. With k = -low / q mod
// 2^52 the low 52 bits of low + k q are zero: t = (high 2^52 + low + k q) / 2^52 is exact, and t 2^52 is the sum modulo
// q.
inline Vec reduce_wide(const Wide& s, const WideReduction& r, const Prime& p) {
  const Vec k = multiply_low(broadcast(0), s.low, r.inverse);
  const Vec t = add(multiply_high(s.high, k, p.q), shift_right_52(multiply_low(s.low, k, p.q)));
  return multiply_prepared(t, r.radix, p);
}

}  // namespace
}  // namespace hetorch::kernels
