"""Pruned weights: the same numbers from smaller tensors and fewer diagonals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

import hetorch
from hetorch import run_encrypted
from hetorch.compiler.passes.drop_pruned import drop_pruned
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import (
    Add,
    Affine,
    Chebyshev,
    Multiply,
    TensorProgram,
    verify_tensor_program,
)
from hetorch.plan import Plan
from tests.compiler.networks import Square


def dense(generator: np.random.Generator, source: int, rows: int, columns: int, name: str) -> Affine:
    matrix = generator.standard_normal((rows, columns))
    matrix[generator.random(rows) < 0.4] = 0.0  # neurons that are constant
    matrix[:, generator.random(columns) < 0.3] = 0.0  # and such that are not read
    bias = generator.standard_normal(rows)
    return Affine(source, sparse.csr_array(matrix), bias, (rows,), name, "Linear")


def weights(program: TensorProgram) -> int:
    return sum(op.matrix.nnz for op in program.operations if isinstance(op, Affine))


@pytest.mark.parametrize("seed", range(8))
def test_the_outputs_are_the_same_numbers(seed: int) -> None:
    generator = np.random.default_rng(seed)
    program = TensorProgram(
        (12,),
        (
            dense(generator, 0, 30, 12, "a"),
            Chebyshev(1, (0.1, 0.5, 0.3), (30,), "silu", "silu"),
            dense(generator, 0, 30, 12, "b"),
            Add(2, 3, (30,), "sum"),
            Multiply(4, 2, (30,), "product"),
            dense(generator, 5, 20, 30, "c"),
            Multiply(6, 6, (20,), "square"),
            dense(generator, 7, 5, 20, "d"),
        ),
        8,
        (5,),
    )
    pruned = drop_pruned(program)
    verify_tensor_program(pruned.program, "drop_pruned")
    x = generator.standard_normal((6, 12))
    np.testing.assert_allclose(
        run_tensor_program(pruned.program, x), run_tensor_program(program, x), atol=1e-12
    )
    assert pruned.program.size(6) < 20 and pruned.notes
    verify_tensor_program(pruned.in_place, "drop_pruned")
    assert pruned.in_place.size(6) == 20
    np.testing.assert_allclose(
        run_tensor_program(pruned.in_place, x), run_tensor_program(program, x), atol=1e-12
    )
    weights = [
        sum(op.matrix.nnz for op in p.operations if isinstance(op, Affine))
        for p in (pruned.program, pruned.in_place)
    ]
    assert weights[0] == weights[1]
    again = drop_pruned(pruned.program)
    assert again.program.size(6) == pruned.program.size(6)


def test_nothing_pruned_nothing_changed() -> None:
    program = TensorProgram(
        (4,), (Affine(0, sparse.csr_array(np.ones((3, 4))), np.ones(3), (3,), "a", "Linear"),), 1, (3,)
    )
    assert drop_pruned(program).program is program


def compiled(network: nn.Module, shape: tuple[int, ...]) -> Plan:
    torch.manual_seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hetorch.compile(network, torch.randn(40, *shape), ring_degree=2048, security="none")


def check(pruned: nn.Sequential, shape: tuple[int, ...], plan: Plan) -> None:
    x = torch.randn(3, *shape)
    with torch.no_grad():
        expected = pruned(x).double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = run_encrypted(plan, x.numpy())
    assert np.abs(found - expected).max() < 2 * plan.report.predicted_error * plan.report.output_range


def test_pruned_channels_and_neurons_cost_nothing() -> None:
    torch.manual_seed(0)
    shape = (1, 12, 12)

    def network(channels: int, hidden: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            Square(),
            nn.Conv2d(channels, 4, 3, stride=2, padding=1),
            Square(),
            nn.Flatten(),
            nn.Linear(4 * 36, hidden),
            Square(),
            nn.Linear(hidden, 3),
        ).eval()

    whole = network(8, 32)
    with torch.no_grad():
        for number, rows in ((0, [1, 3, 4, 6]), (5, list(range(0, 32, 2)))):
            parameters = dict(whole[number].named_parameters())
            parameters["weight"][rows] = 0.0
            parameters["bias"][rows] = 0.5  # constants that the next layer sees
    plan, half = compiled(whole, shape), compiled(network(4, 16), shape)
    check(whole, shape, plan)
    assert sum("pruned" in note for note in plan.report.notes) == 2
    assert plan.report.predicted_seconds == pytest.approx(half.report.predicted_seconds, rel=0.02)
    assert compiled(network(8, 32), shape).report.predicted_seconds > 1.1 * plan.report.predicted_seconds


def test_zero_weights_are_diagonals_less() -> None:
    torch.manual_seed(1)
    layer = nn.Linear(64, 64).eval()
    with torch.no_grad():
        # A band: each row reads four neighbours.
        away = (torch.arange(64)[None, :] - torch.arange(64)[:, None]) % 64
        layer.weight[away > 3] = 0.0
    plan = compiled(nn.Sequential(layer, Square()).eval(), (64,))
    check(nn.Sequential(layer, Square()), (64,), plan)
    row = plan.report.layers[1]
    assert row.diagonals <= 4 < row.dense_diagonals
    assert str(row.dense_diagonals - row.diagonals) in str(plan)
