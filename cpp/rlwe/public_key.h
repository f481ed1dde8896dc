// Encryption with the public key.
#pragma once

#include "ring/sample.h"
#include "rlwe/keys.h"

namespace hetorch::rlwe {

// Encrypt a message over q_0…q_level: (b u + e_0 + message, a u + e_1), u ternary, e_0 and e_1 Gaussian. bytes:
// n * (kTernaryBytes + 2 * kGaussianBytes) random bytes, for u, e_0 and e_1 in this order. With an extended key,
// (b u + e_0, a u + e_1) is computed modulo QP and divided by P before the message is added. Throws
// std::invalid_argument.
Ciphertext encrypt(const NttPoly& message, const PublicKey& key, ring::Bytes bytes, const Context& context);

}  // namespace hetorch::rlwe
