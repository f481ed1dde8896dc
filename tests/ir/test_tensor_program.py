"""Every operation on tensors has what the passes ask for, and malformed programs are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from numpy.polynomial import chebyshev
from scipy import sparse

from hetorch.engine.polynomial import polynomial_depth
from hetorch.errors import PlanError
from hetorch.ir.interpreter import run_tensor_program, trace_tensor_program
from hetorch.ir.tensor_program import (
    Activation,
    Add,
    Affine,
    Bootstrap,
    Chebyshev,
    Multiply,
    TensorOp,
    TensorProgram,
    verify_tensor_program,
    without_dead,
)

MATRIX = np.array([[1.0, 0.0, 2.0], [0.0, -1.0, 0.0], [0.5, 0.5, 0.5]])
BIAS = np.array([0.0, 1.0, -1.0])
X = np.random.default_rng(0).uniform(-1, 1, (5, 3))
Y = np.random.default_rng(1).uniform(-1, 1, (5, 3))

AFFINE = Affine(0, sparse.csr_array(MATRIX), BIAS, (3,), "dense", "linear")
# The operation on values 0 (and 1), the levels that it uses, and its result for X (and Y).
CASES: dict[type[TensorOp], tuple[TensorOp, int, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]] = {
    Affine: (AFFINE, 1, X @ MATRIX.T + BIAS),
    Activation: (Activation(0, "relu", (), (3,), "relu"), 1, np.maximum(X, 0)),
    Chebyshev: (Chebyshev(0, (0.5, 0.0, 0.25), (3,), "even", "silu"), 2, 0.5 + 0.25 * (2 * X * X - 1)),
    Add: (Add(0, 1, (3,), "sum"), 0, X + Y),
    Multiply: (Multiply(0, 1, (3,), "gate"), 1, X * Y),
    # The sine of a modulus of 256 times the bound.
    Bootstrap: (Bootstrap(0, 0.5, (3,), "refresh"), 0, 128 / (2 * np.pi) * np.sin(2 * np.pi * X / 128)),
}


def test_every_operation_has_a_case() -> None:
    assert set(get_args(TensorOp)) == set(CASES)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_operands_levels_and_meaning(kind: type[TensorOp]) -> None:
    op, depth, expected = CASES[kind]
    assert op.reads == ((0, 1) if kind in (Add, Multiply) else (0,)) and op.depth == depth
    np.testing.assert_allclose(op.evaluate([X, Y]), expected, rtol=0, atol=1e-15)
    turned = [np.asfortranarray(X), np.asfortranarray(Y)]
    np.testing.assert_allclose(op.evaluate(turned), expected, rtol=0, atol=1e-15)
    assert op.problem([3] * len(op.reads)) is None
    assert op.problem([4] * len(op.reads)) is not None
    moved = op.renumbered({0: 5, 1: 7})
    assert type(moved) is kind and moved.reads == tuple((5, 7)[value] for value in op.reads)
    np.testing.assert_array_equal(moved.evaluate({5: X, 7: Y}), op.evaluate([X, Y]))


def test_dense_and_sparse_products_agree() -> None:
    few = Affine(0, sparse.csr_array(np.eye(3)), np.zeros(3), (3,), "identity", "linear")
    np.testing.assert_array_equal(few.evaluate([X]), X)
    np.testing.assert_allclose(few.evaluate([X[:1]]), X[:1])


@pytest.mark.parametrize(
    "coefficients", [(0.1, 0.5, 0.2, 0.0, -0.3, 0.0, 0.7), (0.1, 0.5, 0.2, 0.4), (0.3, 0.6)]
)
def test_a_series_is_numpys(coefficients: tuple[float, ...]) -> None:
    op = Chebyshev(0, coefficients, (3,), "p", "p")
    np.testing.assert_allclose(op.evaluate([3 * X]), chebyshev.chebval(3 * X, coefficients), rtol=1e-12)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 63])
def test_a_polynomial_has_the_depth_of_its_schedule(degree: int) -> None:
    assert Chebyshev(0, (1.0,) * (degree + 1), (3,), "p", "p").depth == polynomial_depth(degree)


def program(*operations: TensorOp) -> TensorProgram:
    return TensorProgram((3,), operations, len(operations), (3,))


BROKEN = {
    "a bound above 0": program(Bootstrap(0, 0.0, (3,), "refresh")),
    "reads 1": program(Add(0, 1, (3,), "sum")),
    "do not map 3 to 2": program(replace(AFFINE, shape=(2,))),
    "NaN or infinite": program(replace(AFFINE, bias=np.full(3, np.nan))),
    "unknown activation": program(Activation(0, "no such", (), (3,), "f")),
    "degree >= 1": program(Chebyshev(0, (1.0,), (3,), "p", "p")),
    "element-wise on": program(Multiply(0, 0, (4,), "square")),
    "does not exist": replace(program(CASES[Activation][0]), output=2),
    "has not the shape": replace(program(CASES[Activation][0]), output_shape=(2,)),
}


@pytest.mark.parametrize("message", BROKEN)
def test_malformed_programs_are_refused(message: str) -> None:
    pattern = message.replace("reads 1", r"reads \(0, 1\), but only values 0\.\.0")
    with pytest.raises(PlanError, match=pattern):
        verify_tensor_program(BROKEN[message], "a pass")


def test_operations_that_nothing_needs_leave() -> None:
    operations = [CASES[Activation][0], AFFINE, Add(0, 1, (3,), "sum")]
    kept = without_dead((3,), operations, 3, (3,))
    assert [op.name for op in kept.operations] == ["relu", "sum"] and kept.output == 2
    verify_tensor_program(kept, "without_dead")
    np.testing.assert_array_equal(run_tensor_program(kept, X), X + np.maximum(X, 0))
    assert len(trace_tensor_program(kept, X)) == 3
    assert kept.consumers() == [[0, 1], [1], []] and "Add(v0, v1)" in str(kept)
