// Encryption by somebody who holds only the public key.
#pragma once

#include "ring/sample.h"
#include "rlwe/keys.h"

namespace hetorch::rlwe {

// (b u + e_0 + message, a u + e_1), u ternary. bytes: n * (kTernaryBytes + 2 * kGaussianBytes), in this order. With an
// extended key (b u + e_0, a u + e_1) is computed modulo QP and divided by P before the message is added.
Ciphertext encrypt(const NttPoly& message, const PublicKey& key, ring::Bytes bytes, const Context& context);

}  // namespace hetorch::rlwe
