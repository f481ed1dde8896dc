// Rotations of pairs that are not divided by P yet, over q_0…q_level and P.
#pragma once

#include "rlwe/key_switch.h"

namespace hetorch::rlwe {

using ExtendedPair = std::array<NttPoly, 2>;

// Rotate `pair` by the automorphism X -> X^g of a Galois key and add `addend`, unless that is null: returns (pair + key
// switch of its second half)(X^g) + addend. Only the second half is divided by P, because its digits are needed. All
// are over extended_limbs(level). permutation: the one of g, from RnsBasis::permutation.
ExtendedPair rotate_extended(const ExtendedPair& pair, const SwitchingKey& key, const std::uint32_t* permutation,
                             const ExtendedPair* addend, const KeyFamily& family);

}  // namespace hetorch::rlwe
