"""Lattigo's bootstrap as Orion sets it up for ResNets (its configs/resnet.yml); runs in its own environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.lattigo_operations import _ints, _library, _Scheme
from benchmarks.peers.session import Operation, Session, peak_bytes, serve

CHAIN = (55, *[40] * 10)
SPECIAL = (61, 61, 61)
BOOTSTRAP_SPECIAL = (61,) * 8
"""Bits of the primes; Lattigo adds those of its bootstrap, by its defaults."""
SCALE_BITS = 40
WEIGHT = 16384
"""Nonzero coefficients of the secret. The sparse one of the bootstrap has 32, by default."""
INPUT_LEVEL = 1


class _Bootstrapping(_Scheme):
    """The scheme with the parameters of Orion."""

    def __init__(self, go: Any, log2_n: int) -> None:
        self.go, self.slots = go, 1 << (log2_n - 1)
        self.level, self._scale = INPUT_LEVEL, 1 << SCALE_BITS
        chain, special = _ints(list(CHAIN)), _ints(list(SPECIAL))
        weight = min(WEIGHT, self.slots)
        go.NewScheme(
            log2_n, chain, len(CHAIN), special, len(SPECIAL), SCALE_BITS, weight, b"standard", b"", b"none"
        )
        for step in (
            *("NewKeyGenerator", "GenerateSecretKey", "GeneratePublicKey", "GenerateRelinearizationKey"),
            *("GenerateEvaluationKeys", "NewEncoder", "NewEncryptor", "NewDecryptor", "NewEvaluator"),
        ):
            getattr(go, step)()


def setup(options: dict[str, Any]) -> Session:
    """Make the keys, and one encrypted vector of real values in [-1, 1], in all slots of a ring of 2^`log2_n`."""
    go = _library()
    scheme = _Bootstrapping(go, options["log2_n"])
    slots = scheme.slots
    before = peak_bytes()
    go.NewBootstrapper(_ints(list(BOOTSTRAP_SPECIAL)), len(BOOTSTRAP_SPECIAL), slots)
    prepared = peak_bytes() - before
    values = np.random.default_rng(1).uniform(-1, 1, slots)
    ciphertext = scheme.encrypt(values.astype(np.float32))

    def outputs(_: object) -> list[float]:
        result = go.Bootstrap(ciphertext, slots)
        numbers = scheme.decrypt(result)
        go.DeleteCiphertext(result)
        return [float(number) for number in numbers]

    result = go.Bootstrap(ciphertext, slots)
    facts = {
        "setting": "Orion's ResNet set",
        "levels_left": int(go.GetCiphertextLevel(result)) - INPUT_LEVEL,
        "keys_and_matrices_bytes": prepared,
    }
    go.DeleteCiphertext(result)
    operations = {"bootstrap": Operation(lambda: go.Bootstrap(ciphertext, slots), go.DeleteCiphertext)}
    return Session(operations, {"outputs": outputs}, facts)


if __name__ == "__main__":
    serve(setup)
