"""The schedule of rotations: chains of giant steps by Horner's rule, and the core, which needs exactly their keys."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import Ciphertext, NativeEngine
from hetorch.engine.rotation_schedule import GiantChain, are_multiples, giant_chains, rotation_schedule
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import KeyMissingError
from tests.engine import noise
from tests.engine.conftest import Owner
from tests.engine.test_native_transform import definition, deviation

SCALE = 2.0**38


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
    steps, zeros = np.array(giants, np.int32), np.zeros(len(giants), np.int32)
    chains = giant_chains(steps, 1024)
    assert {chain.step for chain in chains} == expected
    # Every giant step is in one chain, and lies as many rotations from its end as it counts steps of the chain.
    assert sorted(giant for chain in chains for giant in chain.giants) == sorted(set(giants) - {0})
    for chain in chains:
        for turns, giant in enumerate(reversed(chain.giants), start=1):
            assert turns * chain.step % 1024 == giant
    still = rotation_schedule(zeros, zeros, steps, zeros, 1024)
    assert still.keys == expected and still.rotates == bool(expected)
    turned = rotation_schedule(zeros, zeros, steps, zeros + 3, 1024)
    assert turned.keys == expected | {3} and turned.rotates
    assert turned.keys_without_chains == (set(giants) | {3}) - {0}
    assert turned.rotated.tolist() == [[0, 3]]
    assert turned.groups.tolist() == [[0, giant] for giant in sorted(set(giants))]


def test_chains_begin_at_the_farthest_step() -> None:
    assert giant_chains(np.array([0, 32, 16, 1000, 48]), 1024) == (
        GiantChain(16, (48, 32, 16)),
        GiantChain(1000, (1000,)),
    )
    assert are_multiples(np.array([5, 10, 15])) and not are_multiples(np.array([5, 15]))
    assert not are_multiples(np.array([], dtype=np.int64))


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
    x = owner.values(4)
    a = owner.encrypt(x, 2, SCALE)

    def run(steps: set[int]) -> list[Ciphertext]:
        spec = EvaluationKeySpec.from_rotations(dict.fromkeys(steps, 2), owner.parameters.ring_degree)
        engine = NativeEngine(owner.parameters, evaluation_keys=owner.key.evaluation_keys(spec))
        prepared = engine.prepare_transform(transform, level=2, input_scale=SCALE, output_scale=SCALE)
        return engine.linear_transform(prepared, [a])

    results = run(wanted)
    for step in wanted:
        with pytest.raises(KeyMissingError):
            run(wanted - {step})
    for output, (result, exact) in enumerate(zip(results, definition(transform, [x]), strict=True)):
        # A chain may pass through giant steps that this output lacks: at most as many switches as all giants.
        bound = 2 * deviation(owner, transform, output, 2, SCALE, SCALE)
        noise.assert_error(owner.key.decrypt(result), exact, bound)
