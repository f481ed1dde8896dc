// Hybrid key switching, cut into its stages so that rotations can share them.
#pragma once

#include "rlwe/keys.h"

namespace hetorch::rlwe {

// The digits of a polynomial, each extended to q_0…q_level and P. Row r of digits[d] is as in extended_limbs(level).
struct Digits {
  std::size_t level = 0;
  std::vector<NttPoly> digits;
};

// ModUp of every digit. Bound: |digit d| <= Q_d / 2 for each coefficient (centred conversion).
Digits decompose(const NttPoly& poly, const Context& context);

// out0 + out1 s_to = P * poly * s_from + noise, for one row of extended_limbs(level). The key's level may be higher.
void inner_product_row(std::uint64_t* out0, std::uint64_t* out1, const Digits& digits, const SwitchingKey& key,
                       std::size_t row, const Context& context);

// The same for all rows: a pair over q_0…q_level and P.
std::array<NttPoly, 2> inner_product(const Digits& digits, const SwitchingKey& key, const Context& context);

// Division by P with rounding to the nearest: from q_0…q_level and P to q_0…q_level.
NttPoly mod_down(const NttPoly& poly, const Context& context);

// Division by P * q_level: mod_down and rescale at once, to q_0…q_(level-1). Needs level >= 1.
NttPoly mod_down_rescaled(const NttPoly& poly, const Context& context);

// Division by q_level with rounding to the nearest, to q_0…q_(level-1). Needs level >= 1.
NttPoly divide_by_last(const NttPoly& poly, const Context& context);

// poly * s_from under s_to: a pair over q_0…q_level.
std::array<NttPoly, 2> switch_key(const NttPoly& poly, const SwitchingKey& key, const Context& context);

}  // namespace hetorch::rlwe
