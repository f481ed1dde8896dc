// Building blocks of both negacyclic transforms with 52-bit multiply-add.
//
// The multiplier reads only the low 52 bits of its operands. So residues are kept modulo 2^52, as numbers in [0, 2^52)
// with arbitrary bits above bit 51, and no product or difference needs a mask before the last stage. The numbers must
// stay in [0, 2^52): the room between q and 2^52 decides how often they are reduced (Reduce).
//
// A pass does three levels (radix 8). The tile pass does the last four to six levels of the forward transform (the
// first of the inverse) with everything in registers, the three lowest of them inside vectors. Blocks longer than
// kBlock are transformed depth first, so that a sub-transform stays in the first-level cache once it fits.
#pragma once

#include "kernels/ifma_elementwise.h"

namespace hetorch::kernels {
namespace {

// Longest block in residues that is transformed pass by pass: 32 KiB of a first-level cache of 48 KiB. Longer blocks
// are split depth first.
constexpr std::size_t kBlock = 4096;

// Vectors that the tile pass works on at once: half of the 32 registers.
constexpr std::size_t kTileVectors = 16;

inline int levels_of(std::size_t n) { return __builtin_ctzll(n); }

// Levels of the tile pass between whole vectors, 1 to 3, so that a multiple of three is left for the passes.
inline int tile_levels(std::size_t n) { return 1 + (levels_of(n) - 4) % 3; }

// Ring degree from which on the three lowest levels, which have seven eighths of all roots, do not read the table of
// quotients but compute half a quotient from the root: one multiply-add more for nearly half of the bytes. At degree
// 2^15 the tables of one prime fill half of a second-level cache, and those of a chain come from memory.
constexpr std::size_t kFewerBytes = 32768;

// The choice of the numbers that are reduced, besides those that a multiplication reduces anyway.
enum class Reduce {
  rarely_fewer_bytes,  // like rarely, without the quotients of the three lowest levels (kFewerBytes)
  rarely,      // forward: none before the end; inverse: the first of eight outputs of a pass, if the next pass needs it
  every_pass,  // forward: the upper half of a pass's inputs; inverse: its sums, half of the outputs
  every_level  // the upper half of a level's numbers; all numbers are exact 64-bit integers
};

struct Roots {
  const u64* w;
  const u64* quotient;
  Factor one(std::size_t i) const { return {broadcast(w[i]), broadcast(quotient[i])}; }
};

constexpr bool is_rare(Reduce reduce) { return reduce == Reduce::rarely || reduce == Reduce::rarely_fewer_bytes; }

inline Roots forward_roots(const NttView& t) { return {t.roots, t.root_quotients}; }
inline Roots inverse_roots(const NttView& t) { return {t.inverse_roots, t.inverse_root_quotients}; }

// The levels inside vectors work on two vectors a and b of eight neighbours each. Interleaving them once, twice and
// three times brings the partners of these levels to the same lane of both vectors:
//   a0 … a7           b0 … b7             order in memory
//   a0 b0 a1 b1 …     a4 b4 a5 b5 …       partners at distance 4; roots [t0 t1] repeated
//   a0 a4 b0 b4 …     a2 a6 b2 b6 …       partners at distance 2; roots [t0 t1 t2 t3] repeated
//   a0 a2 a4 a6 b0 …  a1 a3 a5 a7 b1 …    partners at distance 1; eight roots
// A fourth time restores the order in memory. The inverse transform undoes these steps one by one.
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

// sum + (y w mod q in [0, 2q)), modulo 2^52.
inline Vec add_product(Vec sum, Vec y, const Factor& f, const Prime& p) {
  const Vec c = multiply_high(broadcast(0), y, f.quotient);
  return multiply_low(multiply_low(sum, y, f.w), c, p.negative);
}

// The same from the root alone, for y < 2^51. Half a quotient is less than 2 too small, so 2 y times it is less than
// 1 + 4 y / 2^52 < 3 below y w / q, and the product is in [0, 3q).
inline Vec add_product(Vec sum, Vec y, Vec w, const Prime& p) {
  const Vec c = multiply_high(broadcast(0), add(y, y), half_quotient(w, p));
  return multiply_low(multiply_low(sum, y, w), c, p.negative);
}

// The roots of the three lowest levels: each with its quotient, or alone (rarely_fewer_bytes).
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

// sum + (x mod q in [0, 2q)) - x, modulo 2^52; with sum = x, x reduced.
inline Vec add_reduction(Vec sum, Vec x, const Prime& p) {
  return multiply_low(sum, multiply_high(broadcast(0), x, p.one), p.negative);
}

}  // namespace
}  // namespace hetorch::kernels
