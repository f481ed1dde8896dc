// Hybrid key switching: turns poly * s_from into a pair under s_to.
#pragma once

#include "rlwe/digits.h"
#include "rlwe/divide.h"

namespace hetorch::rlwe {

// The last steps for both halves of a result.
using PairFinish = std::array<Finish, 2>;

// Row `row` of extended_limbs(level) in a key of this or a higher level, from word `begin` on.
kernels::KeyRow key_row(const SwitchingKey& key, std::size_t row, std::size_t level, std::size_t begin);

// Inner product of the digits of a polynomial with a key: out0 + out1 s_to = P * poly * s_from + noise, for one row of
// extended_limbs(level). addend: added to the first half, unless null.
void inner_product_row(std::uint64_t* out0, std::uint64_t* out1, const std::uint64_t* const* digits, std::size_t row,
                       std::size_t level, const SwitchingKey& key, const std::uint64_t* addend,
                       const KeyFamily& family);

// Switch poly * s_from to s_to and finish both halves: a pair over q_0…q_level. Each group of rows goes through all
// stages in one task: extension of the digits, inner product, division by P.
std::array<NttPoly, 2> switch_key(const NttPoly& poly, const SwitchingKey& key, const PairFinish& finish,
                                  const KeyFamily& family);
// The same from a decomposition that exists already.
std::array<NttPoly, 2> switch_key(const Digits& digits, const SwitchingKey& key, const PairFinish& finish,
                                  const KeyFamily& family);
// Switch poly * s_from to s_to, add `addends` (over q_0…q_level) and rescale, with one division by P q_level: a pair
// over q_0…q_(level-1). Needs level >= 1.
std::array<NttPoly, 2> switch_key_rescaled(const NttPoly& poly, const SwitchingKey& key,
                                           const std::array<const NttPoly*, 2>& addends, const KeyFamily& family);

}  // namespace hetorch::rlwe
