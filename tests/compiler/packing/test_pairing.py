"""Maps whose diagonals are multiplied in pairs, as complex ones, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.frontend.operations.matrices import convolution
from hetorch.compiler.packing.diagonals import coordinates, find_indices
from hetorch.compiler.packing.lower import LoweredMap, lower
from hetorch.compiler.packing.pairing import pair_step, paired
from hetorch.compiler.packing.placements import Grid, Placement, on_grid
from hetorch.engine.native import complex_diagonals
from hetorch.engine.transform import DiagonalTransform
from tests.compiler.packing.random_maps import random_map

SLOTS = 128


def complex_result(transform: DiagonalTransform, x: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Apply the diagonals of the core to x + i rotate(x, pair)."""
    (outputs, inputs, giants, babies), values, imaginary = complex_diagonals(transform)
    assert imaginary is not None and not np.any(outputs) and not np.any(inputs)
    z, total = x + 1j * np.roll(x, -transform.pair), np.zeros(len(x), dtype=np.complex128)
    for number, step in enumerate(giants.astype(int) + babies):
        diagonal = np.tile(values[number] + 1j * imaginary[number], len(x) // values.shape[1])
        total += diagonal * np.roll(z, -step)
    return total


def check(
    matrix: sparse.csr_array, source: Placement, result: Placement, slots: int, pair: int = 0
) -> LoweredMap:
    """The real part must be M x in the result's slots and zero in unused ones, by half as many products or a few more.

    The unused slots of the input hold rubbish. `pair`: the pair step, half of the modulus if it is 0.
    """
    generator = np.random.default_rng(1)
    x = generator.standard_normal(matrix.shape[1])
    before, after = source.layout((len(x),), slots), result.layout((matrix.shape[0],), slots)
    packed = before.pack(x)[0]
    unused = before.index_of_slot[0] < 0
    packed[unused] = 1e6 * generator.standard_normal(int(unused.sum()))
    modulus = min(source.period, result.period)
    pair = pair or modulus // 2
    lowered = lower(matrix, source, result, slots, pair=pair)
    expected = after.pack(matrix @ x)[0]
    for slots_now in (complex_result(lowered.transform, packed), lowered.transform.apply([packed])[0]):
        total = slots_now
        for steps in lowered.folds:
            total = total + np.roll(total, -steps)
        np.testing.assert_allclose(total.real, expected, atol=1e-8)
    products = len(complex_diagonals(lowered.transform)[1])
    indices, _ = find_indices(*coordinates(matrix), source, result) or (None, 0)
    assert indices is not None
    assert products == lowered.products == len(paired(indices, modulus, pair).indices)
    assert products >= len(indices) / 2
    if 2 * pair == modulus:
        assert products == len({int(k) % pair for k in indices})
    schedule = lowered.transform.schedule
    assert lowered.babies == np.count_nonzero(schedule.rotated[:, 1])
    assert lowered.giants == np.count_nonzero(schedule.groups[:, 1])
    return lowered


@given(st.integers(0, 2**31), st.integers(2, 7), st.integers(2, 7), st.floats(0, 1))
def test_random_maps_between_random_placements(seed: int, log_in: int, log_out: int, density: float) -> None:
    matrix, source, result = random_map(seed, log_in, log_out, density)
    check(matrix, source, result, SLOTS)


@given(st.integers(0, 2**31), st.integers(4, 7), st.floats(0, 1), st.integers(0, 5))
def test_random_maps_whose_diagonals_lie_in_a_window(
    seed: int, log: int, density: float, log_step: int
) -> None:
    """A band around a diagonal, of two pair steps or less."""
    step = 2 << min(log_step, log - 3)
    size, generator = 1 << log, np.random.default_rng(seed)
    place = Placement(np.arange(size, dtype=np.int64)[None, :], size, "in order")
    distance = (np.arange(size) - np.arange(size)[:, None] - int(generator.integers(size))) % size
    dense = generator.standard_normal((size, size)) * (distance < 2 * step)
    dense *= generator.random((size, size)) < density
    dense[0, np.argmin(distance[0])] = 1.0
    check(sparse.csr_array(dense), place, place, SLOTS, step)


@pytest.mark.parametrize(
    ("stride", "gaps", "channels", "diagonals", "products"),
    [
        # One block a channel: 8 channel differences times 9 taps; of the differences, 4 remain.
        (1, 1, 8, 72, 36),
        # 2 x 2 channels between the pixels: a row or column of gaps and taps has 7 differences; 4 blocks, then 2.
        (2, 2, 16, 7 * 7 * 4, 7 * 7 * 2),
        # 4 x 4 gaps: 15 differences.
        (4, 4, 64, 15 * 15 * 4, 15 * 15 * 2),
    ],
)
def test_convolutions_take_half_the_products(
    stride: int, gaps: int, channels: int, diagonals: int, products: int
) -> None:
    side = 32 // stride
    shape = (channels, side, side)
    image = on_grid(shape, Grid(32, (stride, stride), 1024), (gaps, gaps))
    assert image is not None
    weight = np.random.default_rng(0).standard_normal((channels, channels, 3, 3))
    matrix = convolution(weight, (side, side), (1, 1), (1, 1), (1, 1), 1, (side, side))
    lowered = check(matrix, image, image, 2 * image.period)
    assert (lowered.diagonals, lowered.products) == (diagonals, products)


def test_pairs_that_save_less_than_a_rotation_are_left() -> None:
    # Alone, two diagonals half a period apart save one product; a rotation costs more.
    whole = Placement(np.arange(64, dtype=np.int64)[None], 64, "whole")
    model = CostModel(1, 1, 1 << 13)
    assert pair_step(np.array([0, 32]), 64, whole, whole, 3, model) == 0
    assert pair_step(np.arange(64), 64, whole, whole, 3, model) == 32
    # Diagonals that lie in a window are paired within it.
    assert pair_step(np.arange(40, 72) % 64, 64, whole, whole, 3, model) == 16
    # Without partners nothing is saved.
    assert pair_step(np.arange(0, 32, 17), 64, whole, whole, 3, model) == 0
    halves = paired(np.array([3, 35, 64 + 3]), 64, 32)
    assert (halves.indices.tolist(), halves.modulus, halves.babies) == ([3, 32 + 3], 32, None)
    window = paired(np.array([60, 62, 0, 64 + 62]), 64, 4)
    assert (window.indices.tolist(), window.modulus, window.babies) == ([60, 62, 64 + 62], 64, (-2, 1))
