// One baby step of a linear transform: what both forms of diagonals multiply.
#pragma once

#include "circuits/linear_transform.h"
#include "rlwe/key_switch.h"

namespace hetorch::circuits {

// An input and its rotation.
struct LinearTransform::Step {
  const ckks::Ciphertext* input = nullptr;
  const rlwe::Digits* digits = nullptr;   // null if it is not rotated; the next three are null then too
  const ring::NttPoly* scaled = nullptr;  // P times the first half of the input
  const rlwe::SwitchingKey* key = nullptr;
  const std::uint32_t* permutation = nullptr;
};

}  // namespace hetorch::circuits
