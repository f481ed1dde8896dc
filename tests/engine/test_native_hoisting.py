"""Rotations that share work: several of one ciphertext, and giant steps by Horner's rule with the keys it needs."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.transform import DiagonalTransform, key_steps
from hetorch.errors import KeyMissingError
from tests.engine import noise
from tests.engine.conftest import Owner
from tests.engine.test_native_transform import definition, deviation
from tests.interop.seal_bridge import rows_of

SCALE = 2.0**38


def test_many_rotations_have_the_bits_of_single_ones(owner: Owner) -> None:
    a = owner.encrypt(owner.values(3), 2, SCALE)
    steps = [1, 0, 1023, 100, 1, -1]
    found = owner.engine.rotate_many(a, steps)
    assert len(found) == len(steps)
    for rotated, step in zip(found, steps, strict=True):
        np.testing.assert_array_equal(rows_of(rotated), rows_of(owner.engine.rotate(a, step)))
    assert owner.engine.rotate_many(a, []) == []
    with pytest.raises(KeyMissingError):
        owner.engine.rotate_many(a, [1, 77])


SIDES = [
    # giants, steps with keys; slots 1024
    ([0, 16, 32, 48], {16}),
    ([16], {16}),
    ([0, 1008, 992], {1008}),
    ([0, 16, 32, 1008, 992], {16, 1008}),
    ([0, 32, 48, 96], {32, 48, 96}),  # 96 = 32 * 3, but 48 is no multiple
    ([0, 16, 48], {16, 48}),
    ([0, 16, 32, 1008, 976], {16, 1008, 976}),
    ([512, 0], {512}),
    ([0], set()),
]


@pytest.mark.parametrize(("giants", "expected"), SIDES)
def test_keys_of_giant_steps(giants: list[int], expected: set[int]) -> None:
    steps = np.array(giants, np.int32)
    assert key_steps(steps, np.zeros_like(steps), 1024) == expected
    assert key_steps(steps, np.full_like(steps, 3), 1024) == expected | {3}


@pytest.mark.parametrize(("giants", "expected"), SIDES)
def test_giant_steps_with_exactly_their_keys(owner: Owner, giants: list[int], expected: set[int]) -> None:
    slots = owner.slots
    # The same turns on this ring: left ones stay, right ones count from its end.
    turns = np.array([g if g <= 512 else slots - (1024 - g) for g in giants], np.int32)
    # Two babies a giant step in the first output, one in the second, which lacks the first giant step.
    babies = np.array([0, 1], np.int32)
    first = [(0, g, b) for g in turns for b in babies]
    rows = np.array(first + [(1, g, 1) for g in turns[1:]], np.int32)
    values = np.random.default_rng(5).uniform(-1, 1, (len(rows), slots))
    transform = DiagonalTransform(
        slots, 1, 2, rows[:, 0], np.zeros(len(rows), np.int32), rows[:, 1], rows[:, 2], values
    )
    wanted = {s if s <= 512 else slots - (1024 - s) for s in expected} | {1}
    assert transform.rotations == wanted
    spec = EvaluationKeySpec.from_rotations(dict.fromkeys(wanted, 2), owner.parameters.ring_degree)
    engine = NativeEngine(owner.parameters, evaluation_keys=owner.key.evaluation_keys(spec))
    prepared = engine.prepare_transform(transform, level=2, input_scale=SCALE, output_scale=SCALE)
    x = owner.values(4)
    results = engine.linear_transform(prepared, [owner.encrypt(x, 2, SCALE)])
    for output, (result, exact) in enumerate(zip(results, definition(transform, [x]), strict=True)):
        # A chain may pass through giant steps that this output lacks: at most as many switches as all giants.
        bound = 2 * deviation(owner, transform, output, 2, SCALE, SCALE)
        noise.assert_error(owner.key.decrypt(result), exact, bound)
