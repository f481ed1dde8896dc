// The AVX2 path: residues of primes below 2^50 as doubles, products by fused multiply-add.
#include "kernels/api.h"

#if defined(__AVX2__) && defined(__FMA__)
#include "kernels/avx2_elementwise.h"
#include "kernels/avx2_forward.h"
#include "kernels/avx2_inverse.h"
#include "kernels/avx2_products.h"
#include "kernels/avx2_sums.h"
#include "kernels/embedding.h"
#include "kernels/reals.h"
#endif

namespace hetorch::kernels {

#if defined(__AVX2__) && defined(__FMA__)

const Kernels* avx2() {
  static constexpr Kernels table = {
      .name = "avx2",
      .modulus_bits = 50,
      .prepare = prepare,
      .ntt_forward = ntt_forward,
      .ntt_inverse = ntt_inverse,
      .ntt_forward_from = ntt_forward_from,
      .ntt_inverse_from = ntt_inverse_from,
      .ntt_inverse_multiply = ntt_inverse_multiply,
      .ntt_forward_subtract_multiply = ntt_forward_subtract_multiply,
      .add = add,
      .subtract = subtract,
      .negate = negate,
      .multiply = multiply,
      .multiply_add = multiply_add,
      .multiply_scalar = multiply_scalar,
      .subtract_multiply_scalar = subtract_multiply_scalar,
      .reduce = reduce,
      .reduce_wide = reduce_wide,
      .reduce_centred = reduce_centred_residues,
      .diagonal_sums = diagonal_sums,
      .key_product = key_product,
      .multiply_add_pair = multiply_add_pair,
      .weighted_sum = weighted_sum,
      .weighted_sums = tiled_weighted_sums<weighted_sum>,
      .round_quotient = round_quotient,
      .permute = permute,
      .from_signed = from_signed,
      .invert_cumulative = invert_cumulative,
      .embed = embed,
      .embed_inverse = embed_inverse,
      .round_scaled = round_scaled,
      .residues_of_reals = residues_of_reals,
      .values_of_digits = values_of_digits<true>,
      .unpack = unpack,
  };
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &table : nullptr;
}

#else

const Kernels* avx2() { return nullptr; }

#endif

}  // namespace hetorch::kernels
