// One baby step of a linear transform: what both forms of diagonals multiply.
#pragma once

#include <map>

#include "circuits/linear_transform.h"
#include "rlwe/key_switch.h"

namespace hetorch::circuits {

// An input and its rotation.
struct LinearTransform::Step {
  const ckks::Ciphertext* input = nullptr;
  const rlwe::Digits* digits = nullptr;  // null if it is not rotated; the next three are null then too
  // P times the first half of the input, without the rows of P, where it is zero.
  const ring::NttPoly* scaled = nullptr;
  const rlwe::SwitchingKey* key = nullptr;
  const std::uint32_t* permutation = nullptr;
};

// All baby steps, and the polynomials that they point to, by input.
struct LinearTransform::Steps {
  std::map<std::size_t, rlwe::Digits> digits;
  std::map<std::size_t, ring::NttPoly> scaled;
  std::vector<Step> all;
};

}  // namespace hetorch::circuits
