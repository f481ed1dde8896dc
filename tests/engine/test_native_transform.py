"""Linear transforms of every shape against their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hetorch.engine.native import NativeEngine
from hetorch.engine.transform import DiagonalTransform
from tests.engine import noise
from tests.engine.conftest import Owner
from tests.engine.test_native_arithmetic import EXAMPLES, draw_level, draw_scale
from tests.interop.seal_bridge import rows_of

STEPS = (0, 1, 2, 3, 4, 8, 12, 100, 1023)


def definition(t: DiagonalTransform, inputs: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The sum of the class's docstring, slot by slot."""
    period = t.values.shape[1]
    slots = np.arange(t.slot_count)
    outputs = [np.zeros(t.slot_count) for _ in range(t.output_count)]
    for d in range(len(t.values)):
        source = inputs[t.inputs[d]][(slots + int(t.giants[d]) + int(t.babies[d])) % t.slot_count]
        outputs[t.outputs[d]] += t.values[d, slots % period] * source
    return outputs


def deviation(
    owner: Owner, t: DiagonalTransform, output: int, level: int, input_scale: float, output_scale: float
) -> float:
    """Return the standard deviation of one output, for inputs within [-1, 1].

    The diagonals d_t multiply the inputs' error and the (undivided) noise of the baby steps' key switches;
    standard deviations add up at most, so sum |d_t| bounds both. Each diagonal's encoding error multiplies an
    input. A giant step rounds its second half (mod-down) and switches its key, at the scale of the product. The
    last division rounds once."""
    p = owner.parameters
    mine = t.outputs == output
    size = float(np.abs(t.values[mine]).max(axis=1).sum()) if mine.any() else 0.0
    diagonal_scale = output_scale * p.modulus_chain[level] / input_scale
    giants = len(set(t.giants[mine].tolist()) - {0})
    babies = noise.switching_before_division(p, level)
    return math.sqrt(
        (size * math.hypot(noise.fresh(p), babies) / input_scale) ** 2
        + (int(mine.sum()) * noise.encoding(p) / diagonal_scale) ** 2
        + giants * (noise.switching(p, level) / (input_scale * diagonal_scale)) ** 2
        + (noise.division(p) / output_scale) ** 2
    )


def draw_transform(data: st.DataObject, slots: int) -> DiagonalTransform:
    count = data.draw(st.integers(1, 8), label="diagonals")
    inputs, outputs = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    period = 1 << data.draw(st.integers(0, slots.bit_length() - 1), label="log2 of the period")
    babies_only, giants_only = data.draw(st.booleans()), data.draw(st.booleans())
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))

    def index(bound: int) -> NDArray[np.int32]:
        return generator.integers(0, bound, count).astype(np.int32)

    def steps(none: bool) -> NDArray[np.int32]:
        return np.zeros(count, np.int32) if none else generator.choice(STEPS, count).astype(np.int32)

    values = generator.uniform(-1, 1, (count, period)) * 10.0 ** generator.integers(-2, 1)
    return DiagonalTransform(
        slots, inputs, outputs, index(outputs), index(inputs), steps(babies_only), steps(giants_only), values
    )


@EXAMPLES
@given(data=st.data())
def test_random_transforms(owner: Owner, data: st.DataObject) -> None:
    t = draw_transform(data, owner.slots)
    level = draw_level(data, owner, 1)
    input_scale, output_scale = draw_scale(data, 33, 38), draw_scale(data, 30, 38)
    vectors = [owner.values(i) for i in range(t.input_count)]
    inputs = [owner.encrypt(v, level, input_scale) for v in vectors]
    before = [rows_of(i) for i in inputs]
    prepared = owner.engine.prepare_transform(
        t, level=level, input_scale=input_scale, output_scale=output_scale
    )
    results = owner.engine.linear_transform(prepared, inputs)
    assert len(results) == t.output_count
    for o, (result, expected) in enumerate(zip(results, definition(t, vectors), strict=True)):
        assert (result.level, result.scale, result.size) == (level - 1, output_scale, 2)
        noise.assert_error(
            owner.key.decrypt(result), expected, deviation(owner, t, o, level, input_scale, output_scale)
        )
    for i, rows in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(rows_of(i), rows)
    # Diagonals that are kept as coefficients give the same bits, from one row for each in place of one a prime.
    kept = owner.engine.prepare_transform(
        t, level=level, input_scale=input_scale, output_scale=output_scale, coefficients=True
    )
    for result, again in zip(results, owner.engine.linear_transform(kept, inputs), strict=True):
        np.testing.assert_array_equal(rows_of(result), rows_of(again))
    if t.rotations or t.values.shape[1] > 1:
        count = max(16, min(2 * t.values.shape[1], 2 * owner.slots))
        assert kept.byte_count == 8 * len(t.values) * count
    # The transform's own cleartext face is the same map.
    for mine, theirs in zip(definition(t, vectors), t.apply(vectors), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


def one_input(
    slots: int, babies: list[int], giants: list[int], values: NDArray[np.float64]
) -> DiagonalTransform:
    zeros = np.zeros(len(babies), np.int32)
    return DiagonalTransform(
        slots, 1, 1, zeros, zeros, np.array(giants, np.int32), np.array(babies, np.int32), values
    )


def test_more_diagonals_than_a_kernel_takes_at_once(owner: Owner) -> None:
    # The inner products take 64 at a time: 150 make two whole rounds and a part.
    generator = np.random.default_rng(1)
    babies = generator.choice(STEPS, 150).tolist()
    t = one_input(owner.slots, babies, [0] * 150, generator.uniform(-0.1, 0.1, (150, owner.slots)))
    x = owner.values(1)
    prepared = owner.engine.prepare_transform(t, level=2, input_scale=2.0**36, output_scale=2.0**35)
    (result,) = owner.engine.linear_transform(prepared, [owner.encrypt(x, 2, 2.0**36)])
    bound = deviation(owner, t, 0, 2, 2.0**36, 2.0**35)
    noise.assert_error(owner.key.decrypt(result), definition(t, [x])[0], bound)


def test_a_matrix_by_baby_steps_and_giant_steps(owner: Owner) -> None:
    # A 16 x 16 block, repeated over the slots: 4 babies and 4 giants, against numpy's matrix product.
    block = np.random.default_rng(2).uniform(-1, 1, (16, 16))
    rows = np.arange(16)
    babies, giants = [k % 4 for k in range(16)], [k // 4 * 4 for k in range(16)]
    t = one_input(owner.slots, babies, giants, np.array([block[rows, (rows + k) % 16] for k in range(16)]))
    x = np.random.default_rng(3).uniform(-1, 1, 16)
    prepared = owner.engine.prepare_transform(t, level=1, input_scale=2.0**36, output_scale=2.0**35)
    repeated = owner.encrypt(np.tile(x, owner.slots // 16), 1, 2.0**36)
    (result,) = owner.engine.linear_transform(prepared, [repeated])
    expected = np.tile(block @ x, owner.slots // 16)
    noise.assert_error(owner.key.decrypt(result), expected, deviation(owner, t, 0, 1, 2.0**36, 2.0**35))


def test_an_output_without_diagonals_is_zero(owner: Owner) -> None:
    zeros = np.zeros(1, np.int32)
    for baby in (0, 1):
        t = DiagonalTransform(
            owner.slots, 1, 2, zeros + 1, zeros, zeros, zeros + baby, np.ones((1, owner.slots))
        )
        prepared = owner.engine.prepare_transform(t, level=1, input_scale=2.0**36, output_scale=2.0**35)
        results = owner.engine.linear_transform(prepared, [owner.encrypt(owner.values(4), 1, 2.0**36)])
        noise.assert_error(
            owner.key.decrypt(results[0]), np.zeros(owner.slots), noise.division(owner.parameters) / 2.0**35
        )


def test_without_rotations_no_key_is_needed(owner: Owner) -> None:
    t = one_input(owner.slots, [0, 0], [0, 0], np.stack([owner.values(5), owner.values(6)]))
    engine = NativeEngine(owner.parameters)
    prepared = engine.prepare_transform(t, level=3, input_scale=2.0**36, output_scale=2.0**35)
    x = owner.values(7)
    (result,) = engine.linear_transform(prepared, [owner.encrypt(x, 3, 2.0**36)])
    bound = deviation(owner, t, 0, 3, 2.0**36, 2.0**35)
    noise.assert_error(owner.key.decrypt(result), definition(t, [x])[0], bound)


@pytest.mark.parametrize("level", [1, 6])
def test_prepared_transforms_are_shared_between_engines(owner: Owner, level: int) -> None:
    t = one_input(owner.slots, [1], [2], owner.values(8)[None, :])
    prepared = NativeEngine(owner.parameters).prepare_transform(
        t, level=level, input_scale=2.0**36, output_scale=2.0**35
    )
    assert prepared.byte_count > 0
    x = owner.encrypt(owner.values(9), level, 2.0**36)
    first = owner.engine.linear_transform(prepared, [x])
    again = owner.engine.linear_transform(prepared, [x])
    np.testing.assert_array_equal(rows_of(first[0]), rows_of(again[0]))
