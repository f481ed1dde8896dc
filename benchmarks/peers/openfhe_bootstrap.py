"""OpenFHE's bootstrap with the settings of its advanced example; runs in its own environment.

At 128 bits of security its primes of 59 bits need a ring of 2^17, whose keys take more than 24 GB, so the ring is given
and the security level is not, as in the example. The secret is the one that the example recommends.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from benchmarks.peers.session import Operation, Session, peak_bytes, serve

SCALE_BITS, FIRST_BITS = 59, 60
LEVEL_BUDGET = [4, 4]
LEVELS_LEFT = 10
DIGITS = 3


def setup(options: dict[str, Any]) -> Session:
    """Make the keys, and one vector of real values in [-1, 1] in all slots of a ring of 2^`log2_n`, at the lowest
    level."""
    fhe, slots = importlib.import_module("openfhe"), 1 << (options["log2_n"] - 1)
    secret = fhe.SecretKeyDist.SPARSE_ENCAPSULATED
    depth = LEVELS_LEFT + fhe.CryptoContext.GetBootstrapDepth(LEVEL_BUDGET, secret)
    parameters = fhe.CCParamsCKKSRNS()
    parameters.SetSecretKeyDist(secret)
    parameters.SetSecurityLevel(fhe.SecurityLevel.HEStd_NotSet)
    parameters.SetRingDim(1 << options["log2_n"])
    parameters.SetNumLargeDigits(DIGITS)
    parameters.SetKeySwitchTechnique(fhe.KeySwitchTechnique.HYBRID)
    parameters.SetScalingModSize(SCALE_BITS)
    parameters.SetScalingTechnique(fhe.ScalingTechnique.FLEXIBLEAUTO)
    parameters.SetFirstModSize(FIRST_BITS)
    parameters.SetMultiplicativeDepth(depth)
    context = fhe.GenCryptoContext(parameters)
    for feature in ("PKE", "KEYSWITCH", "LEVELEDSHE", "ADVANCEDSHE", "FHE"):
        context.Enable(getattr(fhe.PKESchemeFeature, feature))
    before = peak_bytes()
    context.EvalBootstrapSetup(LEVEL_BUDGET, [0, 0], slots)
    keys = context.KeyGen()
    context.EvalMultKeyGen(keys.secretKey)
    context.EvalBootstrapKeyGen(keys.secretKey, slots)
    prepared = peak_bytes() - before
    values = np.random.default_rng(1).uniform(-1, 1, slots)
    plaintext = context.MakeCKKSPackedPlaintext(values.tolist(), 1, depth - 1, None, slots)
    ciphertext = context.Encrypt(keys.publicKey, plaintext)

    def decrypted(result: Any) -> list[float]:
        found = context.Decrypt(keys.secretKey, result)
        found.SetLength(slots)
        return [float(value) for value in found.GetRealPackedValue()]

    result = context.EvalBootstrap(ciphertext)
    facts = {
        "setting": "its advanced example, no security level",
        "levels_left": depth - int(result.GetLevel()) - 1,
        "keys_and_matrices_bytes": prepared,
    }
    calls = {"outputs": lambda _: decrypted(context.EvalBootstrap(ciphertext))}
    return Session({"bootstrap": Operation(lambda: context.EvalBootstrap(ciphertext))}, calls, facts)


if __name__ == "__main__":
    serve(setup)
