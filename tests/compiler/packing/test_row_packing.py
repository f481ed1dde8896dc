from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

import hetorch
from hetorch import run_encrypted
from hetorch.compiler.packing.choose_layouts import choose_layouts
from hetorch.compiler.packing.diagonals import coordinates, find_diagonals, find_indices
from hetorch.compiler.packing.lower import LoweredMap, lower
from hetorch.compiler.packing.placements import Placement, RowPacking, compact, skewed
from hetorch.compiler.packing.row_packing import (
    largest_mixture,
    row_packable_groups,
    row_packed_candidates,
    row_packing_between,
    trace_mixtures,
)
from hetorch.compiler.passes.assign_levels import assign_levels
from hetorch.ir.he_operations import LinearTransform
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorOp, TensorProgram
from hetorch.ir.value_groups import value_groups
from tests.compiler.networks import Square

SLOTS = 256


def run(lowered: LoweredMap, slots: np.ndarray) -> np.ndarray:
    """The transform and its folds by numpy alone."""
    made = lowered.transform.apply([slots])[0]
    for steps in lowered.folds:
        made = made + np.roll(made, -steps)
    return made


def affine(source: int, rows: int, columns: int, seed: int = 0) -> Affine:
    generator = np.random.default_rng(seed)
    matrix = sparse.csr_array(generator.standard_normal((rows, columns)))
    return Affine(source, matrix, generator.standard_normal(rows), (rows,), "dense", "Linear")


def chain(*operations: TensorOp, size: int) -> TensorProgram:
    return TensorProgram((size,), operations, len(operations), operations[-1].shape)


@given(st.integers(0, 2**31), st.integers(2, 64), st.integers(1, 64), st.floats(0, 1))
def test_rows_are_right_and_mixtures_are_as_traced(
    seed: int, columns: int, rows: int, density: float
) -> None:
    generator = np.random.default_rng(seed)
    period = 1 << max(columns - 1, 1).bit_length()
    source = Placement(
        generator.permutation(period)[None, :columns].astype(np.int64), period, "any order in a period"
    )
    dense = generator.standard_normal((rows, columns)) * (generator.random((rows, columns)) < density)
    matrix, bias = sparse.csr_array(dense), generator.standard_normal(rows)
    x = generator.standard_normal((2, columns))
    for result in row_packed_candidates(rows, source, SLOTS):
        positions = result.positions[0]
        assert len(set(positions.tolist())) == rows and positions.max() < result.period <= SLOTS
        assert result.row_packing is not None and row_packing_between(source, result) == result.row_packing
        entries = coordinates(matrix)
        found, quick = find_diagonals(*entries, source, result), find_indices(*entries, source, result)
        assert found is not None and quick is not None
        assert quick[0].tolist() == found.indices.tolist() and quick[1] == found.modulus
        assert len(found.indices) <= result.row_packing.stride
        lowered = lower(matrix, source, result, SLOTS)
        # Not even an unused slot of the input may count.
        packed = generator.standard_normal(SLOTS) * 1e6
        layout = source.layout((columns,), SLOTS)
        used = layout.index_of_slot[0] >= 0
        packed[used] = layout.pack(x[0])[0][used]
        # Mixtures are sums of the same products: rubbish in unused slots of the input is not in them either.
        made = run(lowered, packed)
        np.testing.assert_allclose(made[positions], dense @ x[0], atol=1e-6)
        program = TensorProgram(
            (columns,), (Affine(0, matrix, bias, (rows,), "dense", "Linear"),), 1, (rows,)
        )
        traced = trace_mixtures(program, [source, result], [x, x @ dense.T + bias])
        made[: result.period][positions] += bias
        np.testing.assert_allclose(traced[1][0], made[: result.period], atol=1e-6)


def test_a_square_layer_takes_few_diagonals() -> None:
    source = compact(64)
    strides = [result.row_packing for result in row_packed_candidates(64, source, 2048)]
    # 2048 slots hold the 64 products of 32 rows at once: two diagonals, and more for fewer folds.
    assert strides == [RowPacking(2, 64), RowPacking(4, 64), RowPacking(8, 64), RowPacking(16, 64)]
    matrix = sparse.csr_array(np.random.default_rng(1).standard_normal((64, 64)))
    lowered = lower(matrix, source, row_packed_candidates(64, source, 2048)[0], 2048)
    assert lowered.diagonals == 2 and lowered.folds == (2, 4, 8, 16, 32)


def test_no_row_packing_where_the_input_does_not_repeat_as_it_is() -> None:
    assert row_packed_candidates(8, compact(64), 64) == []
    assert row_packed_candidates(8, skewed(compact(16), 2, 64), 64) == []
    # Rows that all fit one repetition are folded without row packing.
    assert [result.row_packing for result in row_packed_candidates(64, compact(64), 128)] == [
        RowPacking(32, 64)
    ]
    assert [result.row_packing for result in row_packed_candidates(2, compact(64), 128)] == [
        RowPacking(1, 64)
    ]


def test_values_that_polynomials_read_and_outputs_have_zeros_in_their_unused_slots() -> None:
    program = chain(
        affine(0, 32, 32),
        Chebyshev(1, (0.0, 1.0, 0.5), (32,), "activation", "silu"),
        affine(2, 32, 32),
        Multiply(3, 3, (32,), "square"),
        affine(4, 32, 32),
        size=32,
    )
    group = value_groups(program)
    assert row_packable_groups(program, group) == {group[3]} == {group[4]}
    found = choose_layouts(program, assign_levels(program), 1024)
    assert [placement.row_packing is not None for placement in found.placements] == [False] * 3 + [
        True
    ] * 2 + [False]
    plain = choose_layouts(program, assign_levels(program), 1024, row_packing=False)
    assert all(placement.row_packing is None for placement in plain.placements)
    assert found.cost < plain.cost


def test_products_and_sums_of_mixtures_are_traced() -> None:
    source = compact(16)
    result = row_packed_candidates(16, source, 128)[0]
    program = chain(
        affine(0, 16, 16, 1),
        Multiply(1, 1, (16,), "square"),
        affine(0, 16, 16, 2),
        Add(2, 3, (16,), "sum"),
        size=16,
    )
    x = np.random.default_rng(5).standard_normal((3, 16))
    first, second = (
        x @ op.matrix.toarray().T + op.bias for op in program.operations if isinstance(op, Affine)
    )
    samples = [x, first, first**2, second, first**2 + second]
    traced = trace_mixtures(program, [source] + [result] * 4, samples)
    np.testing.assert_allclose(traced[4], traced[1] ** 2 + traced[3])
    for value, rows in enumerate(samples[1:], 1):
        np.testing.assert_allclose(traced[value][:, result.positions[0]], rows, atol=1e-12)
    assert largest_mixture({1: traced[1]}, samples) >= 1.0
    assert largest_mixture({}, []) == 1.0


def _network(spread: float) -> nn.Module:
    torch.manual_seed(0)
    first, second = nn.Linear(16, 32), nn.Linear(32, 32)
    with torch.no_grad():
        # Rows that cancel: each is the difference of two large numbers, so a mixture of two rows is large.
        signs = torch.randint(2, (32,)) * 2.0 - 1.0
        second.weight[:, 0] += spread * signs
        second.weight[:, 1] -= spread * signs
        first.weight[1], first.bias[1] = first.weight[0], first.bias[0]
    return nn.Sequential(first, Square(), second, Square(), nn.Linear(32, 4)).double().eval()


@pytest.mark.parametrize("spread, row_packed", [(0.0, True), (1e5, False)])
def test_mixtures_far_above_the_rows_are_not_taken(spread: float, row_packed: bool) -> None:
    torch.manual_seed(1)
    module, inputs = _network(spread), torch.rand(32, 16, dtype=torch.float64) + 0.5
    plan = hetorch.compile(module, inputs, precision=1e-2)
    periods = [
        plan.weights[f"{op.weight}.values"].shape
        for op in plan.program.operations
        if isinstance(op, LinearTransform)
    ]
    # Row-packed, the second map has as many numbers a diagonal as there are slots between the repetitions.
    assert (periods[1][0] < 32) == row_packed
    expected = module(inputs[:4]).detach().numpy()
    seen = run_encrypted(plan, inputs[:4].numpy())
    assert np.abs(seen - expected).max() <= plan.report.predicted_error * plan.report.output_range
