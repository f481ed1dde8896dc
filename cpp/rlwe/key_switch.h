// Hybrid key switching: poly * s_from becomes a pair under s_to.
#pragma once

#include "rlwe/digits.h"
#include "rlwe/divide.h"

namespace hetorch::rlwe {

// One pair of results, each finished in its own way.
using PairFinish = std::array<Finish, 2>;

// Row `row` of extended_limbs(level) in the key, which may be of a higher level, from word `begin` on.
kernels::KeyRow key_row(const SwitchingKey& key, std::size_t row, std::size_t level, std::size_t begin);

// out0 + out1 s_to = P * poly * s_from + noise, for one row of extended_limbs(level). addend: added to the first half;
// may be null.
void inner_product_row(std::uint64_t* out0, std::uint64_t* out1, const std::uint64_t* const* digits, std::size_t row,
                       std::size_t level, const SwitchingKey& key, const std::uint64_t* addend, const Context& context);

// poly * s_from under s_to, finished: a pair over q_0…q_level. The rows go through all stages one after the other: what
// a row needs of the digits, its inner product, its share of the division.
std::array<NttPoly, 2> switch_key(const NttPoly& poly, const SwitchingKey& key, const PairFinish& finish,
                                  const Context& context);
// The same from digits that are there already.
std::array<NttPoly, 2> switch_key(const Digits& digits, const SwitchingKey& key, const PairFinish& finish,
                                  const Context& context);
// (poly * s_from + addends) / q_level under s_to: key switch and rescale in one division, a pair over q_0…q_(level-1).
// Needs level >= 1; the addends' rows are over q_0…q_level.
std::array<NttPoly, 2> switch_key_rescaled(const NttPoly& poly, const SwitchingKey& key,
                                           const std::array<const NttPoly*, 2>& addends, const Context& context);

}  // namespace hetorch::rlwe
