// The function table of the wide kernels, on the registers of the vec512 header that was included before.
#pragma once

#include "kernels/embedding.h"
#include "kernels/reals.h"
#include "kernels/signed_words.h"
#include "kernels/wide_forward.h"
#include "kernels/wide_inverse.h"

namespace hetorch::kernels {
namespace {

constexpr Kernels wide_kernels(const char* name) {
  return {
      .name = name,
      .modulus_bits = 60,
      .prepare = prepare,
      .ntt_forward = ntt_forward,
      .ntt_inverse = ntt_inverse,
      .ntt_forward_from = ntt_forward_from,
      .ntt_inverse_from = ntt_inverse_from,
      .ntt_inverse_multiply = ntt_inverse_multiply,
      .ntt_forward_subtract_multiply = ntt_forward_subtract_multiply,
      .add = add_residues,
      .subtract = subtract_residues,
      .negate = negate_residues,
      .multiply = multiply_residues,
      .multiply_add = multiply_add,
      .multiply_scalar = multiply_scalar,
      .subtract_multiply_scalar = subtract_multiply_scalar,
      .reduce = reduce_residues,
      .reduce_wide = reduce_residues,
      .reduce_centred = reduce_centred,
      .diagonal_sums = gathered_diagonal_sums<inner_product_pair, add_residues>,
      .key_product = gathered_key_product<inner_product_pair, add_residues, permute>,
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
      .values_of_digits = values_of_digits<false>,
      .unpack = unpack_words,
  };
}

}  // namespace
}  // namespace hetorch::kernels
