"""The record of SEAL as a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetorch.engine.backend import Backend
from hetorch.params import ParameterSet

if TYPE_CHECKING:  # A record is light (hetorch.engine.backend).
    from hetorch.engine.native import EvaluationKeys
    from hetorch.interop.seal.engine import SealEngine


def _make(parameters: ParameterSet, keys: EvaluationKeys | None) -> SealEngine:
    from hetorch.interop.seal.engine import SealEngine

    return SealEngine(parameters, evaluation_keys=keys)


SEAL = Backend(
    name="seal",
    summary="Microsoft SEAL, with the extra 'seal' installed, for plans that were compiled for it",
    make=_make,
    take=lambda engine, ciphertext: engine.take(ciphertext),
    give=lambda engine, ciphertext: engine.give(ciphertext),
    largest_ring=1 << 15,  # the largest ring in SEAL's security table, where its contexts end
    digit_size=1,
    special_prime_count=1,
    slot_generator=3,
    takes_encrypted_weights=False,
    converts_keys=True,
)
