"""The ciphertexts in a frame, each checked against the plan."""

from __future__ import annotations

from hetorch.engine.codec import ciphertext_blob_bytes, load_ciphertext
from hetorch.engine.native import Ciphertext
from hetorch.errors import WireError
from hetorch.params import ParameterSet


def fresh_lengths(parameters: ParameterSet, level: int) -> frozenset[int]:
    """Return the two lengths in bytes of a fresh ciphertext: with a seed (secret-key encryption) or without."""
    return frozenset(ciphertext_blob_bytes(parameters, level, seeded=seeded) for seeded in (True, False))


def load_blob(
    parameters: ParameterSet, blob: memoryview, index: int, *, level: int, scale: float
) -> Ciphertext:
    """Parse the ciphertext number `index` of a frame; WireError if it is broken, or not at this level and scale."""
    ciphertext = load_ciphertext(parameters, bytes(blob))
    if ciphertext.level != level:
        raise WireError(f"ciphertext {index} is at level {ciphertext.level}, the plan says {level}")
    if ciphertext.scale != scale:
        raise WireError(f"ciphertext {index} has the scale {ciphertext.scale!r}, the plan says {scale!r}")
    return ciphertext
