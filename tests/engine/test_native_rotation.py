"""Rotation and conjugation at random levels, with the noise of one key switch."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hetorch.engine.keys import EvaluationKeySpec, galois_element
from hetorch.engine.native import NativeEngine
from tests.engine import noise
from tests.engine.conftest import Owner
from tests.engine.test_native_arithmetic import EXAMPLES, draw_level, draw_scale, draw_values
from tests.interop.seal_bridge import rows_of


@EXAMPLES
@given(data=st.data())
def test_rotation(owner: Owner, data: st.DataObject) -> None:
    level = draw_level(data, owner)
    scale = draw_scale(data, 32, 40)
    # Any integer with the right remainder is the same rotation.
    steps = data.draw(st.sampled_from(owner.steps)) + owner.slots * data.draw(st.integers(-(2**70), 2**70))
    x = draw_values(data, owner)
    result = owner.engine.rotate(owner.key.encrypt(x, level=level, scale=scale), steps)
    assert (result.level, result.scale) == (level, scale)
    p = owner.parameters
    deviation = math.hypot(noise.fresh(p), noise.switching(p, level)) / scale
    noise.assert_error(owner.key.decrypt_complex(result), np.roll(x, -(steps % owner.slots)), deviation)


@EXAMPLES
@given(data=st.data())
def test_conjugation(owner: Owner, data: st.DataObject) -> None:
    level = draw_level(data, owner)
    scale = draw_scale(data, 32, 40)
    x = draw_values(data, owner)
    result = owner.engine.conjugate(owner.key.encrypt(x, level=level, scale=scale))
    assert (result.level, result.scale) == (level, scale)
    p = owner.parameters
    deviation = math.hypot(noise.fresh(p), noise.switching(p, level)) / scale
    noise.assert_error(owner.key.decrypt_complex(result), x.conj(), deviation)


def test_no_rotation_needs_no_key(owner: Owner) -> None:
    engine = NativeEngine(owner.parameters)
    a = owner.encrypt(owner.values(1), 1, 2.0**40)
    for steps in (0, owner.slots, -3 * owner.slots):
        np.testing.assert_array_equal(rows_of(engine.rotate(a, steps)), rows_of(a))


def test_rotations_add_up(owner: Owner) -> None:
    x = owner.values(2)
    a = owner.encrypt(x, 3, 2.0**40)
    around = owner.engine.rotate(owner.engine.rotate(a, 1023), 1)  # -1 and 1
    p = owner.parameters
    deviation = math.hypot(noise.fresh(p), math.sqrt(2) * noise.switching(p, 3)) / 2.0**40
    noise.assert_error(owner.key.decrypt(around), x, deviation)


@settings(max_examples=10)
@given(level=st.integers(0, 6), steps=st.integers(1, 1023))
def test_a_key_serves_every_level_up_to_its_own(owner: Owner, level: int, steps: int) -> None:
    p = owner.parameters
    element = galois_element(steps, p.ring_degree)
    keys = owner.key.evaluation_keys(EvaluationKeySpec(None, ((element, level),)))
    engine = NativeEngine(p, evaluation_keys=keys)
    x = owner.values(steps)
    for lower in {0, level // 2, level}:
        deviation = math.hypot(noise.fresh(p), noise.switching(p, lower)) / 2.0**40
        rotated = engine.rotate(owner.encrypt(x, lower, 2.0**40), steps)
        noise.assert_error(owner.key.decrypt(rotated), np.roll(x, -steps), deviation)
