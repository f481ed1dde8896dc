// Modular arithmetic for odd q < 2^60 in words of 64 bits: remainders are formed modulo 2^64 from the low halves of
// products, and quotients come from 52-bit multiply-add. To be included after vec512.h or vec512_emulated.h; all is in
// an unnamed namespace, so each path has a copy of its own.
#pragma once

namespace hetorch::kernels {
namespace {

// Prepare the factor w as the portable path does: value = w, quotient = floor(w 2^64 / q).
Multiplier prepare(u64 w, const ModulusConstants& m) { return {w, static_cast<u64>((u128{w} << 64) / m.q)}; }

// A 64-bit operand x of high_product() in two pieces: floor(x / 2^12), and x mod 2^12 shifted to the top of 52 bits
// (the multiplier does not read the bits above).
struct Split {
  Vec high;
  Vec low;
};

inline Split split(Vec x) { return {shift_right<12>(x), shift_left<40>(x)}; }

// start + floor(y x / 2^64), or up to 3 less, for any 64-bit y and x, with x split. With y = y1 2^52 + y0 and
// x = x1 2^12 + x0,
//     y x / 2^64 = y1 x1 + y1 x0 / 2^12 + y0 x1 / 2^52 + y0 x0 / 2^64.
// The second and third terms are rounded down and the fourth, below 1, is left out: less than 3 is lost in all.
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

// x in [0, 2 bound) -> [0, bound), congruent if bound is a multiple of q. A difference that wraps around is never the
// minimum.
inline Vec reduce_once(Vec x, Vec bound) { return minimum(x, subtract(x, bound)); }

// Shoup's product: any 64-bit y -> y w mod q in [0, 4q). The prepared quotient is less than 1 below w 2^64 / q, so
// high_product() is less than 4 below y w / q, and the remainder is below 4q < 2^62.
inline Vec multiply_prepared(Vec y, const Factor& f, const Prime& p) {
  return subtract(multiply_word(y, f.w), multiply_word(high_product(y, f.quotient), p.q));
}

// [0, 8q) -> [0, 4q) -> [0, 2q) -> [0, q)
inline Vec canonical4(Vec x, const Prime& p) { return reduce_once(reduce_once(x, p.twice), p.q); }
inline Vec canonical8(Vec x, const Prime& p) { return canonical4(reduce_once(x, p.four), p); }

// Any 64-bit y -> y w mod q in [-2q, 2q), in two's complement.
inline Vec multiply_centred(Vec y, const Factor& f, const Prime& p) {
  return subtract(multiply_word(y, f.w), multiply_word(high_product(y, f.quotient, broadcast(2)), p.q));
}

// Constants of sums of products of residues, which need a quotient of 120-bit numbers. The sums are formed modulo q
// 2^bits, in [2^59, 2^60): one factor of each product is shifted left, and the remainder right.
struct Shifted {
  explicit Shifted(const ModulusConstants& m)
      : bits(__builtin_clzll(m.q) - 4),
        constants{.q = m.q << bits},
        prime(constants),
        // Below 2^64, because q 2^bits is above 2^59: q > 1 is odd.
        ratio(split(broadcast(static_cast<u64>((u128{1} << 123) / constants.q)))) {}
  int bits;
  ModulusConstants constants;
  Prime prime;
  Split ratio;
};

// A factor x < 2^60 of such a sum: x itself, floor(x / 2^8), and x mod 2^8 shifted to the top of 52 bits.
struct Operand {
  explicit Operand(Vec x) : word(x), high(shift_right<8>(x)), low(shift_left<44>(x)) {}
  Vec word;
  Vec high;
  Vec low;
};

// A sum S of up to eight products of such factors and one term below 2^63: S mod 2^64, and high 2^52 + low, which is
// less than 25 below S / 2^16 (a product loses less than 1 by each rounded term and by the term that is left out).
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

// S modulo the shifted prime q, in [0, 6q). Factors below 2^60 give S <= 8 (2^60 - 1)^2 + 2^63 < 2^123, so h =
// floor(S / 2^59) has 64 bits, and its estimate is less than 2 too small. So is h 2^59 / q, as 2^59 < q; the rounded
// ratio and high_product() lose less than 4 more: S / q is less than 6 above the quotient.
inline Vec remainder(const Sum& s, const Shifted& m) {
  const Vec h = add(shift_left<9>(s.high), shift_right<43>(s.low));
  return subtract(s.word, multiply_word(high_product(h, m.ratio), m.prime.q));
}

// S modulo the prime itself, canonical.
inline Vec residue(const Sum& s, const Shifted& m) { return shift_right(canonical8(remainder(s, m), m.prime), m.bits); }

}  // namespace
}  // namespace hetorch::kernels
