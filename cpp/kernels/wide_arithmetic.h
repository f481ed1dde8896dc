// Modular arithmetic for odd q < 2^60 in words of 64 bits: remainders are formed modulo 2^64 by the low halves of
// products, and quotients come from 52-bit multiply-add. Included after vec512.h or vec512_emulated.h, and like them in
// an unnamed namespace: each path has its own copy.
#pragma once

namespace hetorch::kernels {
namespace {

// A prepared factor: value = w, quotient = floor(w 2^64 / q), as on the portable path.
Multiplier prepare(u64 w, const ModulusConstants& m) { return {w, static_cast<u64>((u128{w} << 64) / m.q)}; }

// A 64-bit factor of high products in two pieces: floor(x / 2^12), and x mod 2^12 moved to the top of 52 bits (the bits
// above them are not read).
struct Split {
  Vec high;
  Vec low;
};

inline Split split(Vec x) { return {shift_right<12>(x), shift_left<40>(x)}; }

// start + floor(y x / 2^64), or up to 3 less, for any y and the split x, both of 64 bits. With y = y1 2^52 + y0 and
// x = x1 2^12 + x0,
//     y x / 2^64 = y1 x1 + y1 x0 / 2^12 + y0 x1 / 2^52 + y0 x0 / 2^64.
// The second and third term are rounded down and the fourth, below 1, is left out: less than 3 are lost in all.
inline Vec high_product(Vec y, const Split& x, Vec start) {
  const Vec top = shift_right<52>(y);
  return add(multiply_word(top, x.high), multiply_high(multiply_high(start, y, x.high), top, x.low));
}
inline Vec high_product(Vec y, const Split& x) { return high_product(y, x, broadcast(0)); }

struct Factor {
  Vec w;
  Split quotient;
};

inline Factor factor(Vec w, Vec quotient) { return {w, split(quotient)}; }
inline Factor broadcast_factor(const Multiplier& f) { return factor(broadcast(f.value), broadcast(f.quotient)); }

struct Prime {
  explicit Prime(const ModulusConstants& m)
      : q(broadcast(m.q)), twice(broadcast(2 * m.q)), four(broadcast(4 * m.q)), eight(broadcast(8 * m.q)) {}
  Vec q;
  Vec twice;
  Vec four;
  Vec eight;
};

// x in [0, 2 bound) -> [0, bound), congruent when bound is a multiple of q: a difference that wraps is never the
// minimum.
inline Vec reduce_once(Vec x, Vec bound) { return minimum(x, subtract(x, bound)); }

// Shoup: any 64-bit y -> y w mod q in [0, 4q). The prepared quotient is less than 1 below w 2^64 / q, so that
// high_product is less than 4 below y w / q, and the remainder is below 4q < 2^62.
inline Vec multiply_prepared(Vec y, const Factor& f, const Prime& p) {
  return subtract(multiply_word(y, f.w), multiply_word(high_product(y, f.quotient), p.q));
}

// [0, 8q) -> [0, 4q) -> [0, 2q) -> [0, q)
inline Vec canonical4(Vec x, const Prime& p) { return reduce_once(reduce_once(x, p.twice), p.q); }
inline Vec canonical8(Vec x, const Prime& p) { return canonical4(reduce_once(x, p.four), p); }

// The same in [-2q, 2q), modulo 2^64.
inline Vec multiply_centred(Vec y, const Factor& f, const Prime& p) {
  return subtract(multiply_word(y, f.w), multiply_word(high_product(y, f.quotient, broadcast(2)), p.q));
}

// Sums of products of residues need a quotient of numbers of 120 bits. They are formed modulo q 2^shift, which is in
// [2^59, 2^60): one factor is shifted left, the remainder right.
struct Shifted {
  explicit Shifted(const ModulusConstants& m)
      : bits(__builtin_clzll(m.q) - 4),
        constants{.q = m.q << bits},
        prime(constants),
        // floor(2^123 / q) is below 2^64: q 2^shift is above 2^59, because q > 1 is odd.
        ratio(split(broadcast(static_cast<u64>((u128{1} << 123) / constants.q)))) {}
  int bits;
  ModulusConstants constants;
  Prime prime;
  Split ratio;
};

// A factor of such a sum, below 2^60: itself, floor(x / 2^8), and x mod 2^8 at the top of 52 bits.
struct Operand {
  explicit Operand(Vec x) : word(x), high(shift_right<8>(x)), low(shift_left<44>(x)) {}
  Vec word;
  Vec high;
  Vec low;
};

// A sum S of up to eight products of such factors and one term below 2^63: S mod 2^64, and high 2^52 + low, less than
// 25 below S / 2^16 (a product loses less than 1 by each rounded term and by the one left out).
struct Sum {
  explicit Sum(Vec term) : word(term), high(broadcast(0)), low(shift_right<16>(term)) {}
  Vec word;
  Vec high;
  Vec low;
};

inline void accumulate(Sum& s, const Operand& a, const Operand& b) {
  s.word = add(s.word, multiply_word(a.word, b.word));
  s.high = multiply_high(s.high, a.high, b.high);
  s.low = multiply_low(s.low, a.high, b.high);
  s.low = multiply_high(s.low, a.high, b.low);
  s.low = multiply_high(s.low, a.low, b.high);
}

// S mod q (shifted) in [0, 6q). Factors below 2^60 give S <= 8 (2^60 - 1)^2 + 2^63 < 2^123, so h = floor(S / 2^59) has
// 64 bits, and it is less than 2 too small. So is h 2^59 / q, as 2^59 < q; the rounded ratio and high_product lose less
// than 4 more: S / q is less than 6 above the quotient.
inline Vec remainder(const Sum& s, const Shifted& m) {
  const Vec h = add(shift_left<9>(s.high), shift_right<43>(s.low));
  return subtract(s.word, multiply_word(high_product(h, m.ratio), m.prime.q));
}

// The same as a residue modulo the prime itself.
inline Vec residue(const Sum& s, const Shifted& m) { return shift_right(canonical8(remainder(s, m), m.prime), m.bits); }

}  // namespace
}  // namespace hetorch::kernels
