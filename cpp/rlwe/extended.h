// Pairs over q_0…q_level and P, the form between two divisions: rotations that stay in it.
#pragma once

#include "rlwe/key_switch.h"

namespace hetorch::rlwe {

using ExtendedPair = std::array<NttPoly, 2>;

// The automorphism of a Galois key applied to `pair`: (pair + key switch of its second half)(X^g), plus `addend` when
// it is not null. One division by P, of the second half. All over extended_limbs(level).
ExtendedPair rotate_extended(const ExtendedPair& pair, const SwitchingKey& key, const std::uint32_t* permutation,
                             const ExtendedPair* addend, const Context& context);

}  // namespace hetorch::rlwe
