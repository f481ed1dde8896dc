from __future__ import annotations

from dataclasses import replace

import numpy as np

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.frontend.operations.matrices import convolution
from hetorch.compiler.packing.diagonals import coordinates, find_indices
from hetorch.compiler.packing.lower import lower
from hetorch.compiler.packing.map_costs import MOST_SEARCHED, MapCosts, MapMemo, sample_pixels
from hetorch.compiler.packing.placement_candidates import input_candidates, result_candidates
from hetorch.compiler.packing.placements import Grid, on_grid, skewed
from hetorch.ir.tensor_program import Affine


def convolved(side: int, channels: int) -> Affine:
    weight = np.random.default_rng(0).standard_normal((channels, 2, 3, 3))
    matrix = convolution(weight, (side, side), (1, 1), (1, 1), (1, 1), 1, (side, side))
    return Affine(0, matrix, np.zeros(channels * side**2), (channels, side, side), "conv", "Conv2d")


def test_the_cost_is_that_of_the_lowered_map() -> None:
    op, slots = convolved(8, 3), 512
    costs = MapCosts(slots, CostModel(), MapMemo())
    for source in input_candidates((2, 8, 8), {(1, 1)}, slots):
        for result in result_candidates(op.shape, source, (1, 1), slots):
            parts = lower(op.matrix, source, result, slots)
            expected = CostModel().transform(
                4, parts.diagonals, parts.babies, parts.giants, len(parts.folds), source.parts, result.parts
            )
            assert costs.cost(7, op, (2, 8, 8), 4, source, result) == expected


def test_a_second_search_computes_nothing_again() -> None:
    op, memo = convolved(6, 2), MapMemo()
    source = input_candidates((2, 6, 6), {(1, 1)}, 256)[0]
    result = result_candidates(op.shape, source, (1, 1), 256)[0]
    first = MapCosts(256, CostModel(), memo).cost(0, op, (2, 6, 6), 1, source, result)
    kept = memo.find(0, source, result)
    assert MapCosts(256, CostModel(), memo).cost(0, op, (2, 6, 6), 1, source, result) == first
    assert memo.find(0, source, result) is kept


def test_a_skewed_input_of_a_large_map_has_no_cost() -> None:
    op = convolved(64, 8)
    image = on_grid((2, 64, 64), Grid(64, (1, 1), 4096))
    assert image is not None
    source = skewed(image, 64, 1 << 18)
    result = result_candidates(op.shape, image, (1, 1), 1 << 18)[0]
    assert MapCosts(1 << 18, CostModel(), MapMemo()).cost(0, op, (2, 64, 64), 1, source, result) == np.inf


def test_a_few_pixels_have_all_diagonals_of_a_convolution() -> None:
    op = convolved(64, 8)
    entries = coordinates(op.matrix)
    assert len(entries[0]) > MOST_SEARCHED
    few = sample_pixels(*entries, op.shape)
    assert len(few[0]) < len(entries[0]) / 10
    image = on_grid((2, 64, 64), Grid(64, (1, 1), 4096))
    assert image is not None
    for result in result_candidates(op.shape, image, (1, 1), 1 << 15):
        whole, sampled = find_indices(*entries, image, result), find_indices(*few, image, result)
        assert whole is not None and sampled is not None
        if result.grid is not None:
            assert whole[0].tolist() == sampled[0].tolist()


def test_all_diagonals_are_found_where_the_search_saw_a_few_pixels() -> None:
    op, memo = convolved(64, 8), MapMemo()
    image = on_grid((2, 64, 64), Grid(64, (1, 1), 4096))
    assert image is not None
    # One weight fewer, and the map is no product of channels and pixels.
    matrix = op.matrix.copy()
    matrix.data[len(matrix.data) // 2] = 0.0
    matrix.eliminate_zeros()
    for index, each in enumerate((op, replace(op, matrix=matrix))):
        memo.read(index, each, (2, 64, 64))
        assert (memo.products[index] is None) is (each is not op)
        for result in result_candidates(op.shape, image, (1, 1), 1 << 15):
            expected, found = (
                find_indices(*coordinates(each.matrix), image, result),
                memo.find_all(index, image, result),
            )
            assert expected is not None and found is not None
            assert found[0].tolist() == expected[0].tolist() and found[1] == expected[1]


def test_no_list_of_all_weights_is_kept() -> None:
    op, memo = convolved(64, 8), MapMemo()
    image = on_grid((2, 64, 64), Grid(64, (1, 1), 4096))
    assert image is not None
    memo.read(0, op, (2, 64, 64))
    for result in result_candidates(op.shape, image, (1, 1), 1 << 15):
        memo.find_all(0, image, result)
    lists = [array for pair in memo.samples.values() for array in pair]
    assert sum(array.nbytes for array in lists) < op.matrix.nnz
