"""Keys and engines that several test files share; every set of parameters here is for tests and secures nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec, galois_element
from hetorch.engine.native import Ciphertext, EvaluationKeys, NativeEngine, Slots
from hetorch.engine.secret import SecretKey
from hetorch.params import ParameterSet, Security


@dataclass(frozen=True, slots=True)
class Owner:
    """A data owner with a key, and the engine that got the evaluation keys."""

    parameters: ParameterSet
    key: SecretKey
    keys: EvaluationKeys
    engine: NativeEngine
    steps: tuple[int, ...]

    @property
    def slots(self) -> int:
        return self.parameters.slot_count

    def values(self, seed: int, bound: float = 1.0) -> NDArray[np.float64]:
        return np.random.default_rng(seed).uniform(-bound, bound, self.slots)

    def encrypt(self, values: Slots, level: int, scale: float) -> Ciphertext:
        return self.key.encrypt(values, level=level, scale=scale)


def make_owner(parameters: ParameterSet, steps: tuple[int, ...]) -> Owner:
    """Keys at the highest level for relinearisation, conjugation and the rotations `steps`."""
    n = parameters.ring_degree
    top = parameters.max_level
    elements = {galois_element(s, n) for s in steps} | {2 * n - 1}
    spec = EvaluationKeySpec(top, tuple((e, top) for e in sorted(elements)))
    key = SecretKey.generate(parameters)
    keys = key.evaluation_keys(spec)
    return Owner(parameters, key, keys, NativeEngine(parameters, evaluation_keys=keys), steps)


# digit size, special primes, bits of the data primes above q_0, bits of q_0 and of the special primes: the
# shapes of key switching that the properties run over. The last one leaves the vector kernels.
SHAPES = {
    "digit1": (1, 1, 36, 46),
    "digit2": (2, 2, 36, 46),
    "digit3": (3, 3, 38, 48),
    "digit1-two-special": (1, 2, 40, 45),
    "digit2-60bit": (2, 2, 50, 60),
}


@pytest.fixture(scope="session", params=sorted(SHAPES))
def owner(request: pytest.FixtureRequest) -> Owner:
    digit_size, special, bits, outer = SHAPES[request.param]
    parameters = ParameterSet.from_bits(
        1 << 11, [outer, *[bits] * 6], [outer] * special, digit_size=digit_size, security=Security.NONE
    )
    return make_owner(parameters, (1, 2, 3, 4, 8, 12, 100, 1023))
