// What the two transforms with 52-bit multiply-add share.
//
// The multiplier reads the low 52 bits of its operands only, so a residue is kept modulo 2^52: as a number in [0, 2^52)
// with anything above bit 51, and no product or difference needs a mask before the last stage. What has to be watched
// is that the numbers themselves stay in [0, 2^52); how much room there is above q decides how often they are reduced.
//
// A pass does three levels (radix 8); the tile pass does the last four to six levels of the forward transform (the
// first of the inverse) with everything in registers, the three lowest of them inside vectors. Blocks above kBlock are
// handled depth first, so that a sub-transform stays in the first-level cache once it fits.
#pragma once

#include "kernels/ifma_elementwise.h"

namespace hetorch::kernels {
namespace {

constexpr std::size_t kBlock = 4096;  // residues: 32 KiB of a cache of 48

constexpr std::size_t kTileVectors = 16;

inline int levels_of(std::size_t n) { return __builtin_ctzll(n); }

// Levels of the tile on whole vectors: 1 to 3, so that a multiple of three is left for the passes.
inline int tile_levels(std::size_t n) { return 1 + (levels_of(n) - 4) % 3; }

// From this degree on the three lowest levels, which have seven eighths of all roots, do without the table of quotients
// and make half a quotient from the root itself: one multiply-add more against nearly half of the bytes. The tables of
// one prime of degree 2^15 are half of a second-level cache, and those of all primes of a chain come from memory.
constexpr std::size_t kFewerBytes = 32768;

// How often numbers are reduced.
enum class Reduce {
  rarely_fewer_bytes,  // as rarely, without the quotients of the three lowest levels
  rarely,      // forward: never before the end; inverse: one of eight in a pass, where the next pass asks for it
  every_pass,  // those that are not multiplied in the first level of a pass (forward) or in the last (inverse)
  every_level  // all that are not multiplied in a level; numbers are exact 64-bit integers
};

struct Roots {
  const u64* w;
  const u64* quotient;
  Factor one(std::size_t i) const { return {broadcast(w[i]), broadcast(quotient[i])}; }
};

constexpr bool is_rare(Reduce reduce) { return reduce == Reduce::rarely || reduce == Reduce::rarely_fewer_bytes; }

inline Roots forward_roots(const NttView& t) { return {t.roots, t.root_quotients}; }
inline Roots inverse_roots(const NttView& t) { return {t.inverse_roots, t.inverse_root_quotients}; }

// The levels inside vectors work on two vectors a and b of eight neighbours each. Interleaving them goes
//   a0 … a7           b0 … b7             as in memory
//   a0 b0 a1 b1 …     a4 b4 a5 b5 …       partners at distance 4; roots [t0 t1] repeated
//   a0 a4 b0 b4 …     a2 a6 b2 b6 …       partners at distance 2; roots [t0 t1 t2 t3] repeated
//   a0 a2 a4 a6 b0 …  a1 a3 a5 a7 b1 …    partners at distance 1; eight roots
// and a fourth time back to the first line. The inverse transform undoes it step by step.
inline void interleave(Vec& x, Vec& y) {
  const Vec low = interleave_low(x, y);
  y = interleave_high(x, y);
  x = low;
}

inline void separate(Vec& x, Vec& y) {
  const Vec even = even_lanes(x, y);
  y = odd_lanes(x, y);
  x = even;
}

// sum + y w mod q with y w in [0, 2q), modulo 2^52.
inline Vec add_product(Vec sum, Vec y, const Factor& f, const Prime& p) {
  const Vec c = multiply_high(broadcast(0), y, f.quotient);
  return multiply_low(multiply_low(sum, y, f.w), c, p.negative);
}

// The same by the root alone, for y < 2^51: 2 y times half a quotient, which is at most 2 too small, is at most 1 + 4 y
// / 2^52 < 3 below y w / q.
inline Vec add_product(Vec sum, Vec y, Vec w, const Prime& p) {
  const Vec c = multiply_high(broadcast(0), add(y, y), half_quotient(w, p));
  return multiply_low(multiply_low(sum, y, w), c, p.negative);
}

// A root with its quotient or alone, of the three lowest levels.
template <Reduce kReduce>
struct LowRoots {
  const u64* w;
  const u64* quotient;
  Factor two(std::size_t i) const { return {repeat2(w + i), repeat2(quotient + i)}; }
  Factor four(std::size_t i) const { return {repeat4(w + i), repeat4(quotient + i)}; }
  Factor eight(std::size_t i) const { return {load(w + i), load(quotient + i)}; }
};
template <>
struct LowRoots<Reduce::rarely_fewer_bytes> {
  const u64* w;
  const u64* quotient;
  Vec two(std::size_t i) const { return repeat2(w + i); }
  Vec four(std::size_t i) const { return repeat4(w + i); }
  Vec eight(std::size_t i) const { return load(w + i); }
};

// sum + (x mod q in [0, 2q)) - x, modulo 2^52: with sum = x it is x reduced.
inline Vec add_reduction(Vec sum, Vec x, const Prime& p) {
  return multiply_low(sum, multiply_high(broadcast(0), x, p.one), p.negative);
}

}  // namespace
}  // namespace hetorch::kernels
