"""Linear maps at low levels under keys with few special primes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hetorch.engine.cleartext import CleartextEngine
from hetorch.engine.keys import EvaluationKeySpec, main_family, rotation_link
from hetorch.engine.native import NativeEngine
from hetorch.engine.noise import NoiseModel
from hetorch.engine.secret import SecretKey
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import KeyMissingError
from hetorch.params.bootstrap_set import standard_bootstrap_set
from hetorch.params.map_family import map_family
from hetorch.plan.memory import key_memory
from tests.engine.bootstrap_case import SCALE, small_set

LEVEL = 2
PARAMETERS = small_set(1 << 11, (4, 3, 3), (3, 3, 2, 2)).parameters
SLOTS = PARAMETERS.slot_count


def transform() -> DiagonalTransform:
    """Return a map of four diagonals, with a baby step of 1 and giant steps of 2."""
    steps = np.arange(4, dtype=np.int32)
    values = np.random.default_rng(0).normal(size=(4, SLOTS))
    zeros = np.zeros(4, dtype=np.int32)
    return DiagonalTransform(SLOTS, 1, 1, zeros, zeros, steps // 2 * 2, steps % 2, values)


def spec(*, family: bool) -> EvaluationKeySpec:
    chosen = map_family(PARAMETERS, LEVEL) if family else main_family(PARAMETERS)
    links = [rotation_link(PARAMETERS, steps, chosen, LEVEL) for steps in transform().rotations]
    return EvaluationKeySpec.collected(PARAMETERS, links)


def test_the_standard_set_has_a_family_of_one_digit_for_maps_before_a_bootstrap() -> None:
    p = standard_bootstrap_set(1 << 14, 8).parameters
    assert {map_family(p, level).pair for level in range(5)} == {(4, 5)}
    assert {map_family(p, level) for level in range(5, p.max_level + 1)} == {main_family(p)}
    model = NoiseModel.of(p)
    for level in range(5):
        # P is above the digit: the noise is below the prediction, which knows the main family only.
        ratio = math.prod(p.modulus_chain[: level + 1]) / math.prod(p.special_primes[:4])
        assert NoiseModel(p.ring_degree, ratio, level + 1).switched(level) < model.switched(level)
    low, main = (
        EvaluationKeySpec.collected(p, [rotation_link(p, 1, family, 4)])
        for family in (map_family(p, 4), main_family(p))
    )
    assert key_memory(p, low) < 0.6 * key_memory(p, main)


def test_a_map_runs_under_the_keys_of_its_family() -> None:
    family = map_family(PARAMETERS, LEVEL)
    assert family != main_family(PARAMETERS)
    key, slots = SecretKey.generate(PARAMETERS), np.random.default_rng(1).uniform(-1, 1, SLOTS)
    engine = NativeEngine(PARAMETERS, evaluation_keys=key.evaluation_keys(spec(family=True)))
    encrypted = key.encrypt(slots, scale=SCALE, level=LEVEL)
    for coefficients in (False, True):
        prepared = engine.prepare_transform(
            transform(), level=LEVEL, input_scale=SCALE, output_scale=SCALE, coefficients=coefficients
        )
        (result,) = engine.linear_transform(prepared, [encrypted])
        (expected,) = transform().apply([slots])
        assert (result.level, result.scale) == (LEVEL - 1, SCALE)
        # Most noise is the rounding of four diagonals, at the scale of a prime of 30 bits, times slots of variance 1/3;
        # a slot of a rounded polynomial has the variance N / 24. No Gaussian is beyond 8 deviations.
        bound = 8 * math.sqrt(PARAMETERS.ring_degree / 24 * 4 / 3) * 2.0**-30
        np.testing.assert_allclose(key.decrypt(result), expected, atol=bound)


def test_keys_of_the_main_family_are_no_use_to_it() -> None:
    key = SecretKey.generate(PARAMETERS)
    native = NativeEngine(PARAMETERS, evaluation_keys=key.evaluation_keys(spec(family=False)))
    prepared = native.prepare_transform(transform(), level=LEVEL, input_scale=SCALE, output_scale=SCALE)
    with pytest.raises(KeyMissingError):
        native.linear_transform(prepared, [key.encrypt(np.zeros(SLOTS), scale=SCALE, level=LEVEL)])
    clear = CleartextEngine(PARAMETERS, key_spec=spec(family=False))
    zeros = clear.encrypt(np.zeros(SLOTS), scale=SCALE, level=LEVEL)
    modelled = clear.prepare_transform(transform(), level=LEVEL, input_scale=SCALE, output_scale=SCALE)
    with pytest.raises(KeyMissingError):
        clear.linear_transform(modelled, [zeros])
