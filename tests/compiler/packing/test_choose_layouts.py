from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.frontend.operations.matrices import convolution
from hetorch.compiler.packing.choose_layouts import choose_layouts
from hetorch.compiler.packing.lower import lower
from hetorch.compiler.packing.placements import Grid, Placement, compact, on_grid, skewed
from hetorch.compiler.packing.row_packing import row_packed_candidates
from hetorch.compiler.passes.assign_levels import assign_levels
from hetorch.compiler.search.candidates import FOLD_PENALTIES
from hetorch.errors import PlanError
from hetorch.ir.tensor_program import Add, Affine, Multiply, TensorOp, TensorProgram


def dense(source: int, rows: int, columns: int) -> Affine:
    matrix = sparse.csr_array(np.random.default_rng(rows).standard_normal((rows, columns)))
    return Affine(source, matrix, np.zeros(rows), (rows,), "dense", "Linear")


def chain(*operations: TensorOp, shape: tuple[int, ...]) -> TensorProgram:
    return TensorProgram(shape, operations, len(operations), operations[-1].shape)


def test_the_cost_is_the_sum_over_the_maps() -> None:
    program = chain(dense(0, 20, 50), Multiply(1, 1, (20,), "square"), dense(2, 7, 20), shape=(50,))
    levels = assign_levels(program)
    assert levels == (3, 2, 1, 0)
    found = choose_layouts(program, levels, 1024)
    total = 0.0
    for index, op in enumerate(program.operations):
        if isinstance(op, Affine):
            parts = lower(op.matrix, found.placements[op.input], found.placements[index + 1], 1024)
            counts = (parts.diagonals, parts.babies, parts.giants, len(parts.folds))
            total += CostModel().transform(levels[index + 1] + 1, *counts)
    assert found.cost == pytest.approx(total)


def test_values_joined_by_a_sum_lie_alike() -> None:
    program = chain(
        dense(0, 12, 30),
        Multiply(1, 1, (12,), "square"),
        dense(0, 12, 30),
        Add(2, 3, (12,), "sum"),
        shape=(30,),
    )
    found = choose_layouts(program, assign_levels(program), 256)
    assert len({id(found.placements[value]) for value in (1, 2, 3, 4)}) == 1


def test_a_dense_first_layer_is_skewed() -> None:
    layer = dense(0, 64, 256)
    program = chain(layer, shape=(256,))
    found = choose_layouts(program, assign_levels(program), 4096)
    parts = lower(layer.matrix, found.placements[0], found.placements[1], 4096)
    # 64 rows in 4096 slots: 16 replicas of the input leave 4 diagonals (or fewer products and more folds).
    assert parts.diagonals <= 8 and parts.summed_slots == 64


def test_no_better_than_the_plain_compact_choice_is_never_taken() -> None:
    kernel = np.random.default_rng(0).standard_normal((4, 1, 3, 3))
    matrix = convolution(kernel, (16, 16), (2, 2), (1, 1), (1, 1), 1, (8, 8))
    program = chain(Affine(0, matrix, np.zeros(256), (4, 8, 8), "conv", "Conv2d"), shape=(1, 16, 16))
    found = choose_layouts(program, assign_levels(program), 1024)
    plain = lower(matrix, compact(256), compact(256), 1024)
    cost = CostModel().transform(1, plain.diagonals, plain.babies, plain.giants, len(plain.folds))
    assert found.cost < cost / 3


def lola() -> TensorProgram:
    """The network of LoLA: 5 channels of 14x14 pixels from windows of 2x2, then 100 and 10 neurons, with squares."""
    kernel = np.random.default_rng(0).standard_normal((5, 1, 2, 2))
    matrix = convolution(kernel, (28, 28), (2, 2), (0, 0), (1, 1), 1, (14, 14))
    return chain(
        Affine(0, matrix, np.zeros(980), (5, 14, 14), "conv", "Conv2d"),
        Multiply(1, 1, (5, 14, 14), "square"),
        dense(2, 100, 980),
        Multiply(3, 3, (100,), "square"),
        dense(4, 10, 100),
        shape=(1, 28, 28),
    )


def row_packed_lola() -> list[Placement]:
    """Placements of LoLA's values that let each of the four replicas compute a quarter of the first dense layer."""
    pixels = on_grid((1, 28, 28), Grid(14, (1, 1), 256, phases=2))
    assert pixels is not None
    rows = row_packed_candidates(100, compact(980), 4096)[0]
    return [skewed(pixels, 256, 4096), compact(980), compact(980), rows, rows, compact(10, 4)]


@pytest.mark.parametrize("penalty", FOLD_PENALTIES)
def test_a_layout_that_pays_off_in_a_later_map_stays_in_the_beam(penalty: float) -> None:
    """Many layouts make the convolution of LoLA cheaper, but with them the dense layer takes 2 to 4 times as long."""
    program = lola()
    levels, model = assign_levels(program), CostModel(fold_penalty=penalty)
    found = choose_layouts(program, levels, 4096, model)
    total = 0.0
    for index, op in enumerate(program.operations):
        if isinstance(op, Affine):
            packed = row_packed_lola()
            parts = lower(op.matrix, packed[op.input], packed[index + 1], 4096)
            counts = (parts.diagonals, parts.babies, parts.giants, len(parts.folds))
            total += model.transform(levels[index + 1] + 1, *counts)
    layer = program.operations[2]
    assert isinstance(layer, Affine)
    parts = lower(layer.matrix, found.placements[2], found.placements[3], 4096)
    assert parts.diagonals == 32 and parts.babies + parts.giants + len(parts.folds) <= 17
    assert found.cost <= total * (1 + 1e-9)


def test_what_does_not_fit_is_cut() -> None:
    program = chain(dense(0, 3, 200), shape=(200,))
    found = choose_layouts(program, assign_levels(program), 128)
    assert [placement.parts for placement in found.placements] == [2, 1]
    # One slot a ciphertext: an element each.
    found = choose_layouts(program, assign_levels(program), 1)
    assert [placement.parts for placement in found.placements] == [200, 3]


def test_a_tensor_beyond_all_ciphertexts_is_refused() -> None:
    wide = sparse.csr_array(([1.0], ([0], [0])), shape=(1, 40000))
    program = chain(Affine(0, wide, np.zeros(1), (1,), "wide", "Linear"), shape=(40000,))
    with pytest.raises(PlanError, match="needs 40000 ciphertexts of 1 slot,"):
        choose_layouts(program, assign_levels(program), 1)
