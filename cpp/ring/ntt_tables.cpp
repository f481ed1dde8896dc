#include "ring/ntt_tables.h"

#include <bit>

#include "ring/modulus.h"

namespace hetorch::ring {

std::uint32_t reverse_bits(std::uint32_t value, int bits) {
  std::uint32_t result = 0;
  for (int i = 0; i < bits; ++i) {
    result = (result << 1) | (value & 1);
    value >>= 1;
  }
  return result;
}

NttTables::NttTables(std::size_t n, u64 q, const kernels::Kernels& kernels) : storage_(4 * n) {
  const int bits = std::countr_zero(n);
  view_.n = n;
  view_.modulus = kernels::make_modulus_constants(q);
  u64* rows[4];
  for (int r = 0; r < 4; ++r) rows[r] = storage_.data() + static_cast<std::size_t>(r) * n;
  const u64 root = primitive_root(n, q);
  const u64 inverse_root = inverse_mod(root, q);
  u64 power = 1;
  u64 inverse_power = 1;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t position = reverse_bits(static_cast<std::uint32_t>(i), bits);
    const kernels::Multiplier forward = kernels.prepare(power, view_.modulus);
    const kernels::Multiplier inverse = kernels.prepare(inverse_power, view_.modulus);
    rows[0][position] = forward.value;
    rows[1][position] = forward.quotient;
    rows[2][position] = inverse.value;
    rows[3][position] = inverse.quotient;
    power = multiply_mod(power, root, q);
    inverse_power = multiply_mod(inverse_power, inverse_root, q);
  }
  view_.roots = rows[0];
  view_.root_quotients = rows[1];
  view_.inverse_roots = rows[2];
  view_.inverse_root_quotients = rows[3];
  const u64 n_inverse = inverse_mod(n % q, q);
  const u64 last_root = power_mod(inverse_root, n / 2, q);  // bitrev(1) = n / 2
  view_.n_inverse = kernels.prepare(n_inverse, view_.modulus);
  view_.n_inverse_root = kernels.prepare(multiply_mod(n_inverse, last_root, q), view_.modulus);
}

}  // namespace hetorch::ring
