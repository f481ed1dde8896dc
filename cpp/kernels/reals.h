// Conversions between doubles and integers, for the encoder: plain loops, compiled into every path with that path's
// instructions. No step is contracted to a fused multiply-add, and none depends on its neighbours, so all paths give
// the same bits.
#pragma once

#include <cmath>

#include "kernels/api.h"

namespace hetorch::kernels {
namespace {

// Magnitudes are compared by the bits of the doubles, which have the order of the numbers; infinity and NaN are above
// all numbers.
double round_scaled(double* out, const double* x, double factor, std::size_t n) {
  constexpr u64 kMagnitude = ~u64{0} >> 1;
  u64 largest = 0;
  for (std::size_t j = 0; j < n; ++j) {
    const double rounded = __builtin_nearbyint(x[j] * factor);
    const u64 magnitude = __builtin_bit_cast(u64, rounded) & kMagnitude;
    largest = largest > magnitude ? largest : magnitude;
    out[j] = rounded;
  }
  return __builtin_bit_cast(double, largest);
}

// x as a double. kNarrow: x is below 2^52 and is converted through the mantissa of 2^52, which vectorises everywhere.
template <bool kNarrow>
inline double real_of(u64 x) {
  constexpr u64 kTwo52Bits = 0x4330000000000000;
  if (kNarrow) return __builtin_bit_cast(double, x | kTwo52Bits) - 4503599627370496.0;
  return static_cast<double>(static_cast<std::int64_t>(x));
}

template <bool kNarrow>
void values_of_digits(double* __restrict out, const u64* const* digits, const u64* primes, double divisor,
                      std::size_t count, std::size_t n) {
  constexpr std::size_t kTile = 256;
  u64 negative[kTile];
  double value[kTile];
  for (std::size_t begin = 0; begin < n; begin += kTile) {
    const std::size_t length = begin + kTile < n ? kTile : n - begin;
    const u64 middle = primes[count - 1] / 2;
    for (std::size_t j = 0; j < length; ++j) {
      negative[j] = 0 - ((middle - digits[count - 1][begin + j]) >> 63);
      value[j] = 0;
    }
    for (std::size_t i = count; i-- > 0;) {
      const u64 last = primes[i] - 1;
      const double q = static_cast<double>(primes[i]);
      const u64* d = digits[i] + begin;
      for (std::size_t j = 0; j < length; ++j) {
        const u64 chosen = d[j] + ((last - 2 * d[j]) & negative[j]);
        value[j] = value[j] * q + real_of<kNarrow>(chosen);
      }
    }
    for (std::size_t j = 0; j < length; ++j) {
      const double sign = real_of<true>(negative[j] & 1);
      out[begin + j] = (value[j] * (1 - 2 * sign) - sign) / divisor;
    }
  }
}

}  // namespace
}  // namespace hetorch::kernels
