// Building blocks of both negacyclic transforms for primes below 2^60.
//
// A pass does two levels (radix 4) on two columns at a time. The tile pass does the five or six levels inside 32 or 64
// neighbours in registers. Blocks longer than kBlock are transformed depth first, so that a sub-transform stays in the
// first-level cache once it fits. A butterfly has a latency of some twenty cycles and a throughput of three. So both
// passes do one level on eight vectors, four independent butterflies, before they begin the next level.
#pragma once

#include "kernels/wide_elementwise.h"

namespace hetorch::kernels {
namespace {

// Longest block in residues that is transformed pass by pass: 32 KiB of a first-level cache of 48 KiB. Longer blocks
// are split depth first.
constexpr std::size_t kBlock = 4096;

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

// The roots of two levels on one block: one for the block, one for each of its halves.
struct RootsOfFour {
  RootsOfFour(const Roots& roots, std::size_t block)
      : whole(roots.one(block)), lower(roots.one(2 * block)), upper(roots.one(2 * block + 1)) {}
  Factor whole;
  Factor lower;
  Factor upper;
};

// The levels inside vectors work on two vectors of eight neighbours each. Interleaving them once brings partners at
// distance 4 to the same lane of both, twice those at distance 2, three times those at distance 1; a fourth time
// restores the order. The roots are two, four and eight in repetition. (ifma_passes.h shows the order of each step.)
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
