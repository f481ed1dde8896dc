#include "ring/modulus.h"

#include <cmath>
#include <stdexcept>

namespace hetorch::ring {

u64 power_mod(u64 base, u64 exponent, u64 q) {
  u64 result = 1 % q;
  for (base %= q; exponent; exponent >>= 1) {
    if (exponent & 1) result = multiply_mod(result, base, q);
    base = multiply_mod(base, base, q);
  }
  return result;
}

bool is_prime(u64 n) {
  constexpr u64 witnesses[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
  if (n < 2) return false;
  for (u64 w : witnesses) {
    if (n % w == 0) return n == w;
  }
  u64 odd = n - 1;
  int twos = 0;
  while ((odd & 1) == 0) {
    odd >>= 1;
    ++twos;
  }
  for (u64 w : witnesses) {
    u64 x = power_mod(w, odd, n);
    if (x == 1 || x == n - 1) continue;
    bool composite = true;
    for (int i = 1; i < twos && composite; ++i) {
      x = multiply_mod(x, x, n);
      composite = x != n - 1;
    }
    if (composite) return false;
  }
  return true;
}

u64 residue_of_real(double x, u64 q) {
  const double rounded = std::nearbyint(x);
  int exponent = 0;
  // |rounded| = mantissa * 2^(exponent - 53) with an integer mantissa below 2^53.
  const double fraction = std::frexp(std::fabs(rounded), &exponent);
  const u64 mantissa = static_cast<u64>(std::ldexp(fraction, 53));
  u64 magnitude;
  if (exponent <= 53) {
    magnitude = (mantissa >> (53 - exponent)) % q;  // exact: the dropped bits of an integer are zero
  } else {
    magnitude = multiply_mod(mantissa % q, power_mod(2, static_cast<u64>(exponent - 53), q), q);
  }
  return rounded < 0 && magnitude != 0 ? q - magnitude : magnitude;
}

u64 primitive_root(std::size_t n, u64 q) {
  if ((q - 1) % (2 * n) != 0) throw std::invalid_argument("prime is not 1 modulo twice the ring degree");
  for (u64 g = 2; g < q; ++g) {
    const u64 root = power_mod(g, (q - 1) / (2 * n), q);
    if (power_mod(root, n, q) == q - 1) return root;
  }
  throw std::invalid_argument("modulus has no primitive root: it is not prime");
}

}  // namespace hetorch::ring
