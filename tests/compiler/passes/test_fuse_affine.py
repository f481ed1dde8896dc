from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from hetorch.compiler.passes.balance_sums import balance_sums, is_free
from hetorch.compiler.passes.fuse_affine import compose, fuse_affine
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import (
    Activation,
    Add,
    Affine,
    Multiply,
    TensorOp,
    TensorProgram,
    verify_tensor_program,
)
from tests.compiler.networks import NETWORKS, inputs, model


def affine(source: int, rows: int, columns: int, seed: int, name: str = "layer") -> Affine:
    generator = np.random.default_rng(seed)
    matrix = sparse.csr_array(generator.standard_normal((rows, columns)))
    return Affine(source, matrix, generator.standard_normal(rows), (rows,), name, "Linear")


def same(program: TensorProgram, fused: TensorProgram) -> None:
    verify_tensor_program(fused, "test")
    x = np.random.default_rng(0).standard_normal((5, *program.input_shape))
    np.testing.assert_allclose(
        run_tensor_program(fused, x), run_tensor_program(program, x), rtol=1e-9, atol=1e-9
    )


def fuse(*operations: TensorOp, size: int = 4) -> TensorProgram:
    output = len(operations)
    program = TensorProgram((size,), operations, output, operations[-1].shape)
    fused = fuse_affine(program)
    same(program, fused)
    return fused


def test_a_run_becomes_one() -> None:
    fused = fuse(affine(0, 4, 4, 1, "a"), affine(1, 3, 4, 2, "b"), affine(2, 2, 3, 3, "c"))
    assert [op.name for op in fused.operations] == ["a + b + c"]


def test_a_bottleneck_stays() -> None:
    assert len(fuse(affine(0, 1, 40, 1), affine(1, 40, 1, 2), size=40).operations) == 2


def test_branches_of_one_value_are_added_up() -> None:
    fused = fuse(affine(0, 4, 4, 1), Add(1, 0, (4,), "skip"), Add(2, 1, (4,), "again"))
    assert len(fused.operations) == 1


def test_a_map_goes_through_a_sum_if_that_saves_a_level() -> None:
    square = Multiply(0, 0, (4,), "square")
    fused = fuse(square, affine(1, 4, 4, 1), affine(0, 4, 4, 2), Add(2, 3, (4,), "sum"), affine(4, 2, 4, 3))
    assert [type(op).__name__ for op in fused.operations] == ["Multiply", "Affine", "Affine", "Add"]
    # The square is as deep as the sum: the large map is taken once.
    fused = fuse(square, affine(0, 4, 4, 2), Add(1, 2, (4,), "sum"), affine(3, 9, 4, 3))
    assert [type(op).__name__ for op in fused.operations] == ["Multiply", "Affine", "Add", "Affine"]


def scale(source: int, factors: list[float]) -> Affine:
    matrix = sparse.csr_array(np.diag(factors))
    matrix.eliminate_zeros()
    return Affine(source, matrix, np.arange(1.0, 1.0 + len(factors)), (len(factors),), "scale", "scale")


def quartic(factors: list[float], line: Affine) -> tuple[TensorOp, ...]:
    """factors * x^4 + an eighth of x^2 + line, which a dense map reads."""
    return (
        Multiply(0, 0, (4,), "square"),
        Multiply(1, 1, (4,), "fourth"),
        scale(1, [factor / 8 for factor in factors]),
        Add(3, 2, (4,), "sum"),
        scale(2, factors),
        Add(3, 5, (4,), "sum"),
        line,
        Add(6, 7, (4,), "sum"),
        affine(8, 3, 4, 5),
    )


def test_a_scale_is_pulled_out_of_a_sum() -> None:
    """The scale of the deepest term goes into the map that reads the sum: it is taken once, at no level."""
    fused = fuse(*quartic([2.0, -1.0, 0.5, 3.0], affine(0, 4, 4, 4)))
    assert [type(op).__name__ for op in fused.operations] == [
        *("Multiply", "Multiply", "Affine", "Add", "Affine", "Add", "Affine")
    ]
    assert fused.operations[-1].shape == (3,)


def test_a_scale_of_zero_is_pulled_out_only_if_nothing_else_is_there() -> None:
    dead = fuse(*quartic([2.0, 0.0, 0.5, 3.0], scale(0, [1.0, 0.0, 2.0, 1.0])))
    assert isinstance(dead.operations[-1], Affine) and not isinstance(dead.operations[-2], Affine)
    kept = fuse(*quartic([2.0, 0.0, 0.5, 3.0], affine(0, 4, 4, 4)))
    assert sum(isinstance(op, Affine) and op.shape == (3,) for op in kept.operations) == 2


def test_a_scale_of_very_different_factors_stays() -> None:
    kept = fuse(*quartic([2.0, 1e-9, 0.5, 3.0], affine(0, 4, 4, 4)))
    assert sum(isinstance(op, Affine) and op.shape == (3,) for op in kept.operations) == 3


def test_doubling() -> None:
    fused = fuse(Multiply(0, 0, (4,), "square"), Add(1, 1, (4,), "twice"))
    assert [type(op).__name__ for op in fused.operations] == ["Multiply", "Affine"]


def test_identity_and_dead_operations_disappear() -> None:
    identity = Affine(0, sparse.csr_array(np.eye(4)), np.zeros(4), (2, 2), "reshape", "view")
    fused = fuse(identity, affine(0, 3, 4, 1, "dead"), Activation(1, "relu", (), (4,), "relu"))
    assert [op.name for op in fused.operations] == ["relu"]


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks_stay_the_same(name: str) -> None:
    from hetorch.compiler.frontend.capture import capture

    program = capture(model(name), inputs(name)[:8]).program
    for growth in (0.0, 2.0, 1e9):
        same(program, fuse_affine(program, growth))


def test_every_sum_gets_a_free_operand() -> None:
    operations: tuple[TensorOp, ...] = (
        Multiply(0, 0, (4,), "square"),
        Multiply(1, 1, (4,), "fourth"),
        Add(1, 2, (4,), "sum"),
        Add(3, 0, (4,), "sum"),
    )
    program = TensorProgram((4,), operations, 4, (4,))
    balanced = balance_sums(program)
    same(program, balanced)
    consumers = balanced.consumers()
    for op in balanced.operations:
        if isinstance(op, Add):
            assert is_free(balanced, consumers, op.a) or is_free(balanced, consumers, op.b)


@pytest.mark.parametrize("side", ["outer", "inner"])
@pytest.mark.parametrize("has_zero", [False, True])
def test_a_product_with_a_diagonal_map_shares_the_places_of_the_weights(side: str, has_zero: bool) -> None:
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((6, 6)) < 0.5, rng.standard_normal((6, 6)), 0.0)
    factors = rng.standard_normal(6)
    factors[2] *= not has_zero
    matrix, scale = sparse.csr_array(dense), sparse.csr_array(np.diag(factors))
    product = compose(scale, matrix) if side == "outer" else compose(matrix, scale)
    expected = factors[:, None] * dense if side == "outer" else dense * factors
    np.testing.assert_array_equal(product.toarray(), expected)
    assert product.nnz == np.count_nonzero(expected) and product.has_canonical_format
    assert np.shares_memory(product.indices, matrix.indices) is not has_zero
