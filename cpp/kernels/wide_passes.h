// What the two transforms for primes below 2^60 share.
//
// A pass does two levels (radix 4) on two columns at a time; the tile pass does the five or six levels inside 32 or 64
// neighbours in registers. Blocks above kBlock are handled depth first, so that a sub-transform stays in the
// first-level cache once it fits. A butterfly has a latency of some twenty cycles and a throughput of three, so both go
// through a level of eight vectors, four butterflies that do not wait for each other, before they begin the next.
#pragma once

#include "kernels/wide_elementwise.h"

namespace hetorch::kernels {
namespace {

constexpr std::size_t kBlock = 4096;  // residues: 32 KiB of a cache of 48

inline int levels_of(std::size_t n) { return __builtin_ctzll(n); }

struct Roots {
  const u64* w;
  const u64* quotient;
  Factor one(std::size_t i) const { return factor(broadcast(w[i]), broadcast(quotient[i])); }
  Factor two(std::size_t i) const { return factor(repeat2(w + i), repeat2(quotient + i)); }
  Factor four(std::size_t i) const { return factor(repeat4(w + i), repeat4(quotient + i)); }
  Factor eight(std::size_t i) const { return factor(load(w + i), load(quotient + i)); }
};

inline Roots forward_roots(const NttView& t) { return {t.roots, t.root_quotients}; }
inline Roots inverse_roots(const NttView& t) { return {t.inverse_roots, t.inverse_root_quotients}; }

// The roots of two levels on one block of 4 quarters.
struct RootsOfFour {
  RootsOfFour(const Roots& roots, std::size_t block)
      : whole(roots.one(block)), lower(roots.one(2 * block)), upper(roots.one(2 * block + 1)) {}
  Factor whole;
  Factor lower;
  Factor upper;
};

// The levels inside vectors work on two vectors of eight neighbours each. Interleaving them once brings partners at
// distance 4 to the same lane of both, twice those at distance 2, thrice those at distance 1; a fourth time restores
// the order. The roots are then two, four and eight in repetition.
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

}  // namespace
}  // namespace hetorch::kernels
