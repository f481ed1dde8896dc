#include <stdexcept>
#include <string>

#include "kernels/api.h"

namespace hetorch::kernels {

namespace {

constexpr u64 kMask52 = (u64{1} << 52) - 1;

// floor((2^128 - 1) / q) equals floor(2^128 / q) because an odd q > 1 does not divide 2^128.
u128 barrett_ratio(u64 q) { return ~u128{0} / q; }

// q^-1 mod 2^64 by Newton's iteration: x = q has 3 correct bits, and each step doubles their number.
u64 inverse_mod_word(u64 q) {
  u64 x = q;
  for (int step = 0; step < 5; ++step) x *= 2 - q * x;
  return x;
}

}  // namespace

ModulusConstants make_modulus_constants(u64 q) {
  if (q < 3 || q % 2 == 0 || q >= (u64{1} << 60)) {
    throw std::invalid_argument("make_modulus_constants: the modulus must be odd and in [3, 2^60), got " +
                                std::to_string(q));
  }
  ModulusConstants m;
  m.q = q;
  const u128 ratio = barrett_ratio(q);
  m.barrett_high = static_cast<u64>(ratio >> 64);
  m.barrett_low = static_cast<u64>(ratio);
  m.montgomery52 = (0 - inverse_mod_word(q)) & kMask52;
  m.radix52 = (u64{1} << 52) % q;
  m.radix104 = static_cast<u64>((u128{1} << 104) % q);
  m.q_double = static_cast<double>(q);
  m.q_inverse = 1.0 / m.q_double;
  return m;
}

}  // namespace hetorch::kernels
