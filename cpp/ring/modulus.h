// Scalar arithmetic modulo one prime, for set-up work; inner loops use kernels.
#pragma once

#include <cstdint>

#include "kernels/api.h"

namespace hetorch::ring {

using kernels::ModulusConstants;
using kernels::u128;
using kernels::u64;

inline u64 multiply_mod(u64 a, u64 b, u64 q) { return static_cast<u64>(static_cast<u128>(a) * b % q); }

// x mod q for any 128-bit x, without a division or a branch (Barrett): the quotient from floor(2^128 / q) is at most 1
// too small.
inline u64 reduce_wide(u128 x, const ModulusConstants& m) {
  const u64 low = static_cast<u64>(x);
  const u64 high = static_cast<u64>(x >> 64);
  const u128 carry = static_cast<u128>(low) * m.barrett_low >> 64;
  const u128 cross0 = static_cast<u128>(low) * m.barrett_high + carry;
  const u128 cross1 = static_cast<u128>(high) * m.barrett_low + static_cast<u64>(cross0);
  const u64 quotient = high * m.barrett_high + static_cast<u64>(cross0 >> 64) + static_cast<u64>(cross1 >> 64);
  const u64 difference = low - quotient * m.q - m.q;  // in [-q, q), q < 2^62: if the sign bit is set, q is added again
  return difference + (m.q & (0 - (difference >> 63)));
}

u64 power_mod(u64 base, u64 exponent, u64 q);

// a^-1 mod q by Fermat's theorem; q is prime, a is not 0 mod q.
inline u64 inverse_mod(u64 a, u64 q) { return power_mod(a, q - 2, q); }

// True if n is prime. Deterministic Miller-Rabin: the first twelve primes as witnesses decide every 64-bit number
// (Sorenson and Webster, 2015).
bool is_prime(u64 n);

// The residue in [0, q) of the integer nearest to x (ties to even); x finite, of any magnitude.
u64 residue_of_real(double x, u64 q);

// A primitive 2n-th root of unity modulo q: the first g^((q-1)/2n), g = 2, 3, …, whose n-th power is -1. Throws
// std::invalid_argument unless q is prime and 1 modulo 2n.
u64 primitive_root(std::size_t n, u64 q);

}  // namespace hetorch::ring
