// Modular arithmetic with 52-bit multiply-add (AVX-512 IFMA) for odd q < 2^50. To be included after vec512.h or
// vec512_emulated.h; all is in an unnamed namespace, so each path has a copy of its own.
#pragma once

namespace hetorch::kernels {
namespace {

constexpr u64 kMask52 = (u64{1} << 52) - 1;

// Prepare the factor w: value = w, quotient = floor(w 2^52 / q).
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
  Vec one;    // floor(2^52 / q): the quotient of a prepared 1
  Vec exact;  // ceil(2^(52 + shift) / q) < 2^52
  Vec shift;  // (number of bits of q) - 1
  Vec below;  // floor(2^(52 + shift) / q)
  Vec lift;   // 52 - (number of bits of q): the most by which a residue can be shifted left
};

// x in [0, 2 bound) -> [0, bound), congruent if bound is a multiple of q. A difference that wraps around is never the
// minimum.
inline Vec reduce_once(Vec x, Vec bound) { return minimum(x, subtract(x, bound)); }

// Shoup's product: any y < 2^52 -> y w mod q in [0, 2q). floor(y quotient / 2^52) is less than 2 below y w / q, so the
// remainder is below 2q < 2^52, and its low 52 bits are all of it.
inline Vec multiply_prepared(Vec y, const Factor& f, const Prime& p) {
  const Vec c = multiply_high(broadcast(0), y, f.quotient);
  return bit_and(multiply_low(multiply_low(broadcast(0), y, f.w), c, p.negative), p.mask);
}

// Any x < 2^52 -> x mod q in [0, 2q).
inline Vec reduce_lazy(Vec x, const Prime& p) {
  return bit_and(multiply_low(x, multiply_high(broadcast(0), x, p.one), p.negative), p.mask);
}

// x mod 2^52 -> its residue in [0, q); bits 52 and above of x are ignored.
inline Vec canonical(Vec x, const Prime& p) { return reduce_once(reduce_lazy(x, p), p.q); }

// The same for x mod 2^52 below 2^51, with one step less. floor(x exact / 2^(52 + shift)) is floor(x / q): it is not
// less, and the estimate exceeds x / q by less than 2^51 / 2^(52 + shift) <= 2^-bits < 1 / q, while x / q is at least 1
// / q below the next integer.
inline Vec canonical_half(Vec x, const Prime& p) {
  const Vec c = shift_right(multiply_high(broadcast(0), x, p.exact), p.shift);
  return bit_and(multiply_low(x, c, p.negative), p.mask);
}

// Half of a prepared quotient, computed from w in [0, q) alone: floor(w 2^51 / q) or one less.
inline Vec half_quotient(Vec w, const Prime& p) { return multiply_high(broadcast(0), shift_left(w, p.lift), p.below); }

// A sum of products, high 2^52 + low.
struct Wide {
  Vec high;
  Vec low;
};

inline void accumulate(Wide& s, Vec a, Vec b) {
  s.low = multiply_low(s.low, a, b);
  s.high = multiply_high(s.high, a, b);
}

// Constants of reduce_wide(): Montgomery's step divides by 2^52, and the prepared factor 2^52 mod q undoes the
// division.
struct WideReduction {
  explicit WideReduction(const ModulusConstants& m)
      : inverse(broadcast(m.montgomery52)), radix(broadcast_factor(prepare(m.radix52, m))) {}
  Vec inverse;  // -q^-1 mod 2^52
  Factor radix;
};

// high 2^52 + low -> its residue in [0, 2q), for low < 2^64 - 2^52 and high + low / 2^52 + q + 1 < 2^52. With k = -low
// / q mod 2^52 the low 52 bits of low + k q are zero: t = (high 2^52 + low + k q) / 2^52 is exact, and t 2^52 is
// congruent to the sum.
inline Vec reduce_wide(const Wide& s, const WideReduction& r, const Prime& p) {
  const Vec k = multiply_low(broadcast(0), s.low, r.inverse);
  const Vec t = add(multiply_high(s.high, k, p.q), shift_right_52(multiply_low(s.low, k, p.q)));
  return multiply_prepared(t, r.radix, p);
}

}  // namespace
}  // namespace hetorch::kernels
