"""Maps that gather the rows of replicas in runs, and maps that spread runs, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.frontend.operations.matrices import convolution
from hetorch.compiler.packing.diagonals import coordinates, find_diagonals, find_indices
from hetorch.compiler.packing.lower import LoweredMap, lower
from hetorch.compiler.packing.map_costs import MapMemo
from hetorch.compiler.packing.placements import Grid, Placement, Runs, compact, on_grid
from hetorch.compiler.packing.runs import (
    gathering,
    masked,
    others_in_replica,
    run_candidates,
    spreading,
    unmasked,
)
from hetorch.ir.tensor_program import Affine
from tests.compiler.packing.random_maps import random_map
from tests.compiler.packing.test_pairing import complex_result

SLOTS = 256


def check(
    matrix: sparse.csr_array, source: Placement, result: Placement, rest: float, pair: int = 0
) -> LoweredMap:
    """lower() must give M x in the result's slots. The unused slots of the input hold `rest` if the map spreads runs,
    and rubbish otherwise."""
    generator = np.random.default_rng(1)
    x = generator.standard_normal(matrix.shape[1])
    before, after = source.layout((len(x),), SLOTS), result.layout((matrix.shape[0],), SLOTS)
    packed = before.pack(x)[0]
    unused = before.index_of_slot[0] < 0
    runs = spreading(source, result)
    packed[unused] = 1e6 * generator.standard_normal(int(unused.sum())) if runs is None else rest
    entries = coordinates(matrix)
    found, quick = find_diagonals(*entries, source, result), find_indices(*entries, source, result)
    assert found is not None and quick is not None
    assert quick[0].tolist() == found.indices.tolist() and quick[1] == found.modulus
    lowered = lower(matrix, source, result, SLOTS, pair=found.modulus // 2 if pair else 0)
    slots = packed
    for step in lowered.spreads:
        slots = slots + np.roll(slots, -step)
    expected = matrix @ (x + (0.0 if runs is None else others_in_replica(runs) * rest))
    used = after.index_of_slot[0] >= 0
    for total in [
        lowered.transform.apply([slots])[0],
        *([complex_result(lowered.transform, slots)] if pair else []),
    ]:
        for step in lowered.folds:
            total = total + np.roll(total, -step)
        np.testing.assert_allclose(total.real[used], after.pack(expected)[0][used], atol=1e-8)
        if not result.mixed:
            assert np.max(np.abs(total.real[~used]), initial=0.0) < 1e-8
    return lowered


@pytest.mark.parametrize("pair", [0, 1])
@given(st.integers(0, 2**31), st.integers(3, 7), st.integers(3, 7), st.floats(0, 1))
def test_random_maps_into_runs_and_back(
    pair: int, seed: int, log_in: int, log_out: int, density: float
) -> None:
    matrix, source, base = random_map(seed, log_in, log_out, density)
    for result in run_candidates([base], source, SLOTS):
        runs = gathering(source, result)
        assert runs is not None and runs.period == source.period and result.period <= SLOTS
        positions = result.positions[0]
        assert len(set(positions.tolist())) == len(positions)
        assert np.all(positions % runs.period < runs.length)
        if runs.length >= 4:
            assert check(matrix, source, result, 0.0, pair).diagonals <= runs.length
        clean = masked(result)
        assert unmasked(clean).name == result.name != clean.name
        if runs.length >= 4 and base.period >= runs.length and base.period <= runs.period:
            back = sparse.csr_array(matrix.T)
            assert spreading(clean, source) == runs
            lowered = check(back, clean, source, 0.5, pair)
            assert lowered.diagonals <= runs.length and len(lowered.spreads) > 0


def test_a_plain_map_reads_runs_too() -> None:
    source = compact(8)
    (result,) = run_candidates([source], source, SLOTS)
    assert result.runs == Runs(1, 8) and result.period == 64
    clean = masked(result)
    matrix = sparse.csr_array(np.diag(np.arange(1.0, 9.0)))
    # In its place, an element is multiplied without a rotation, and the slots beyond the runs stay what they were.
    assert spreading(clean, result) is None and gathering(clean, result) is None
    assert check(matrix, clean, result, 0.0).diagonals == 1


def test_a_convolution_takes_a_quarter_of_the_diagonals_in_four_replicas() -> None:
    shape = (64, 8, 8)
    image = on_grid(shape, Grid(32, (4, 4), 1024), (4, 4))
    assert image is not None and image.period == 4096
    weight = np.random.default_rng(0).standard_normal((64, 64, 3, 3))
    matrix = convolution(weight, (8, 8), (1, 1), (1, 1), (1, 1), 1, (8, 8))
    (mixed,) = run_candidates([image], image, 1 << 14)
    assert mixed.runs == Runs(1024, 4096)
    memo = MapMemo()
    memo.read(0, Affine(0, matrix, np.zeros(4096), shape, "convolution", "Conv2d"), shape)
    for source, result in ((image, mixed), (masked(mixed), image)):
        found = find_indices(*coordinates(matrix), source, result)
        quick = memo.find(0, source, result)
        assert found is not None and quick is not None
        # Within a block, a row or column of 4 x 4 gaps and taps has 15 differences; there were four blocks.
        assert len(found[0]) == 15 * 15 and found[1] == quick[1] == 1024
        assert quick[0].tolist() == found[0].tolist()


def values(placement: Placement) -> NDArray[np.int64]:
    return np.sort(placement.positions[0])


def test_values_that_fill_the_slots_have_no_runs() -> None:
    full = compact(200)
    assert full.period == SLOTS and run_candidates([full], full, SLOTS) == []
    assert values(full).tolist() == list(range(200))
