"""The record of SEAL as a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetorch.engine.backend import Backend
from hetorch.interop.seal.limits import LARGEST_RING, key_bytes, plaintext_bytes
from hetorch.params import ParameterSet

if TYPE_CHECKING:  # A record is light (hetorch.engine.backend).
    from hetorch.engine.native import EvaluationKeys
    from hetorch.interop.seal.engine import SealEngine


def _make(parameters: ParameterSet, keys: EvaluationKeys | None) -> SealEngine:
    from hetorch.interop.seal.engine import SealEngine

    return SealEngine(parameters, evaluation_keys=keys)


SEAL = Backend(
    name="seal",
    summary="Microsoft SEAL (pip install 'hetorch[seal]'), for plans that were compiled for it",
    make=_make,
    take=lambda engine, ciphertext: engine.take(ciphertext),
    give=lambda engine, ciphertext: engine.give(ciphertext),
    plaintext_bytes=plaintext_bytes,
    converted_key_bytes=key_bytes,
    takes_encrypted_weights=False,
    bootstraps=False,
    largest_ring=LARGEST_RING,
    digit_size=1,
    special_prime_count=1,
    checks_every_scale=True,
    slot_generator=3,
)
