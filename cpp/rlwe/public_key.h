// Encryption by somebody who holds only the public key.
#pragma once

#include "ring/sample.h"
#include "rlwe/keys.h"

namespace hetorch::rlwe {

// (b u + e_0 + message, a u + e_1), u ternary. bytes: n * (kTernaryBytes + 2 * kGaussianBytes), in this order.
Ciphertext encrypt(const NttPoly& message, const PublicKey& key, ring::Bytes bytes, const Context& context);

}  // namespace hetorch::rlwe
