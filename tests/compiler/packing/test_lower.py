from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from hetorch.compiler.frontend.operations.matrices import convolution
from hetorch.compiler.packing.diagonals import coordinates, find_diagonals, find_indices
from hetorch.compiler.packing.lower import lower
from hetorch.compiler.packing.placements import Grid, Placement, compact, on_grid, skewed
from tests.compiler.packing.random_maps import random_map

SLOTS = 128


def check(matrix: sparse.csr_array, source: Placement, result: Placement, slots: int, seed: int = 0) -> int:
    """lower() must give M x in the result's slots and zero in unused ones, from a layout with rubbish where unused."""
    generator = np.random.default_rng(seed)
    rows, columns = matrix.shape
    x = generator.standard_normal(columns)
    before, after = source.layout((columns,), slots), result.layout((rows,), slots)
    packed = before.pack(x)[0]
    unused = before.index_of_slot[0] < 0
    packed[unused] = 1e6 * generator.standard_normal(int(unused.sum()))
    entries = coordinates(matrix)
    found, quick = find_diagonals(*entries, source, result), find_indices(*entries, source, result)
    assert found is not None and quick is not None
    assert quick[1] == found.modulus
    assert quick[0].tolist() == found.indices.tolist()
    lowered = lower(matrix, source, result, slots)
    slots_now = lowered.transform.apply([packed])[0]
    for steps in lowered.folds:
        slots_now = slots_now + np.roll(slots_now, -steps)
    np.testing.assert_allclose(slots_now, after.pack(matrix @ x)[0], atol=1e-9)
    babies, giants = lowered.transform.babies, lowered.transform.giants
    assert lowered.babies == len(set(babies.tolist()) - {0})
    assert lowered.giants == len(set(giants.tolist()) - {0})
    assert lowered.diagonals == len({(int(b), int(g)) for b, g in zip(babies, giants, strict=True)})
    return lowered.diagonals


@given(st.integers(0, 2**31), st.integers(0, 7), st.integers(0, 7), st.floats(0, 1))
def test_random_maps_between_random_placements(seed: int, log_in: int, log_out: int, density: float) -> None:
    matrix, source, result = random_map(seed, log_in, log_out, density)
    count = check(matrix, source, result, SLOTS, seed)
    assert count <= max(min(source.period, result.period), 1)


@given(st.integers(0, 2**31), st.integers(1, 32), st.integers(1, 32), st.integers(1, 40))
def test_random_maps_of_skewed_inputs(seed: int, columns: int, rows: int, step: int) -> None:
    generator = np.random.default_rng(seed)
    shape = (rows, columns)
    dense = generator.standard_normal(shape) * (generator.random(shape) < 0.6)
    check(sparse.csr_array(dense), skewed(compact(columns), step, SLOTS), compact(rows), SLOTS, seed)


@given(st.integers(0, 2**31), st.integers(1, 32), st.integers(129, 300), st.integers(1, 40))
def test_skewed_inputs_of_results_in_several_ciphertexts(
    seed: int, columns: int, rows: int, step: int
) -> None:
    generator = np.random.default_rng(seed)
    dense = generator.standard_normal((rows, columns)) * (generator.random((rows, columns)) < 0.3)
    source = skewed(compact(columns), step, SLOTS)
    result = Placement(np.arange(rows, dtype=np.int64)[None], SLOTS, "several", parts=-(-rows // SLOTS))
    x = generator.standard_normal(columns)
    lowered = lower(sparse.csr_array(dense), source, result, SLOTS)
    sums = lowered.transform.apply([source.layout((columns,), SLOTS).pack(x)[0]])
    for got, expected in zip(sums, result.layout((rows,), SLOTS).pack(dense @ x), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-9)


def test_skewed_replicas_divide_the_diagonals() -> None:
    dense = sparse.csr_array(np.random.default_rng(0).standard_normal((16, 32)))
    plain = check(dense, compact(32), compact(16), SLOTS)
    turned = check(dense, skewed(compact(32), 4, SLOTS), compact(16), SLOTS)
    # 128 / 32 = 4 replicas, each of which serves a quarter.
    assert (plain, turned) == (16, 4)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("phases", [1, 2])
def test_convolution_on_grids_has_few_diagonals(stride: int, phases: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 1, 3, 3, generator=generator, dtype=torch.float64)
    x = torch.randn(1, 1, 14, 14, generator=generator, dtype=torch.float64)
    out = tuple(F.conv2d(x, weight, stride=stride).shape[1:])
    matrix = convolution(weight.numpy(), (14, 14), (stride, stride), (0, 0), (1, 1), 1, out[1:])
    block = 256 // (phases * phases)
    source = on_grid((1, 14, 14), Grid(14 // phases, (1, 1), block, phases))
    assert source is not None
    step, rest = divmod(stride, phases)
    if rest:
        return
    result = on_grid(out, Grid(14 // phases, (step, step), block))
    assert result is not None
    count = check(matrix, source, result, 1024)
    # 9 taps; with phases the four blocks of the input meet the four channels of the result in every combination.
    assert count <= (9 if phases == 1 else 4 * 4)


def test_channels_in_gaps() -> None:
    weight = np.random.default_rng(1).standard_normal((8, 1, 3, 3))
    matrix = convolution(weight, (12, 12), (2, 2), (1, 1), (1, 1), 1, (6, 6))
    source = on_grid((1, 12, 12), Grid(12, (1, 1), 256))
    result = on_grid((8, 6, 6), Grid(12, (2, 2), 256), (2, 2))
    assert source is not None and result is not None
    assert result.period == 512
    # Offsets of taps minus gaps: 4 along each axis.
    assert check(matrix, source, result, 1024) <= 16


def test_an_empty_map_has_one_diagonal_of_zeros() -> None:
    assert check(sparse.csr_array((3, 4)), compact(4), compact(3), SLOTS) == 1
