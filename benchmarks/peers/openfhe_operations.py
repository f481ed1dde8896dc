"""OpenFHE's operations, with hybrid key switching and its default number of digits; runs in its own environment."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from benchmarks.peers.session import Operation, Session, serve


def setup(options: dict[str, Any]) -> Session:
    """Make keys and one encrypted vector of `log2_n`, `primes` and `prime_bits`; `rotations` are hoisted at once."""
    fhe = importlib.import_module("openfhe")
    n, bits = 1 << options["log2_n"], options["prime_bits"]
    parameters = fhe.CCParamsCKKSRNS()
    # The ring and the primes are fixed, so that all peers work on the same; for security it would choose others.
    parameters.SetSecurityLevel(fhe.SecurityLevel.HEStd_NotSet)
    parameters.SetRingDim(n)
    parameters.SetMultiplicativeDepth(options["primes"] - 1)
    parameters.SetScalingModSize(bits)
    parameters.SetFirstModSize(bits + 1)
    parameters.SetScalingTechnique(fhe.ScalingTechnique.FIXEDMANUAL)
    parameters.SetKeySwitchTechnique(fhe.KeySwitchTechnique.HYBRID)
    context = fhe.GenCryptoContext(parameters)
    for feature in ("PKE", "KEYSWITCH", "LEVELEDSHE", "ADVANCEDSHE"):
        context.Enable(getattr(fhe.PKESchemeFeature, feature))
    keys = context.KeyGen()
    steps = list(range(1, options["rotations"] + 1))
    context.EvalMultKeyGen(keys.secretKey)
    context.EvalRotateKeyGen(keys.secretKey, steps)
    values = np.random.default_rng(1).uniform(-1, 1, n // 2)
    listed = values.tolist()
    ciphertext = context.Encrypt(keys.publicKey, context.MakeCKKSPackedPlaintext(listed))
    product = context.EvalMult(ciphertext, ciphertext)

    def hoisted() -> Any:
        digits = context.EvalFastRotationPrecompute(ciphertext)
        return [context.EvalFastRotation(ciphertext, step, 2 * n, digits) for step in steps]

    def kept_in_qp() -> Any:
        digits = context.EvalFastRotationPrecompute(ciphertext)
        return [context.EvalFastRotationExt(ciphertext, step, digits, True) for step in steps]

    def check(_: Any) -> float:
        turned = context.Decrypt(keys.secretKey, context.EvalRotate(ciphertext, 1))
        turned.SetLength(n // 2)
        return float(np.abs(np.asarray(turned.GetRealPackedValue()) - np.roll(values, -1)).max())

    operations = {
        "rotate": Operation(lambda: context.EvalRotate(ciphertext, 1)),
        "multiply": Operation(lambda: context.EvalMult(ciphertext, ciphertext)),
        "hoisted": Operation(hoisted, count=len(steps)),
        "kept in QP": Operation(kept_in_qp, count=len(steps)),
        "rescale": Operation(lambda: context.Rescale(product)),
        "encode": Operation(lambda: context.MakeCKKSPackedPlaintext(listed)),
        "encrypt": Operation(
            lambda: context.Encrypt(keys.publicKey, context.MakeCKKSPackedPlaintext(listed))
        ),
    }
    return Session(operations, {"check": check}, {"setting": "its default digits"})


if __name__ == "__main__":
    serve(setup)
