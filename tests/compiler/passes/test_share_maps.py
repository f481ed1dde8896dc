from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from hetorch.compiler.passes.assign_levels import assign_levels
from hetorch.compiler.passes.share_maps import share_maps
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import Add, Affine, Multiply, TensorProgram, verify_tensor_program


def shared(second: np.ndarray) -> tuple[TensorProgram, TensorProgram]:
    """(M x)^2 + `second` x as a program, before and after."""
    first = np.array([[1.0, 2.0, 0.0], [0.0, 0.5, -1.0], [0.0, 0.0, 0.0]])
    generator = np.random.default_rng(0)
    operations = (
        Affine(0, sparse.csr_array(first), generator.standard_normal(3), (3,), "layer", "Linear"),
        Multiply(1, 1, (3,), "square"),
        Affine(0, sparse.csr_array(second), generator.standard_normal(3), (3,), "line", "scale"),
        Add(2, 3, (3,), "sum"),
    )
    program = TensorProgram((3,), operations, 4, (3,))
    after = share_maps(program)
    verify_tensor_program(after, "test")
    x = generator.standard_normal((5, 3))
    np.testing.assert_allclose(run_tensor_program(after, x), run_tensor_program(program, x), rtol=1e-12)
    assert assign_levels(after) == assign_levels(program)
    return program, after


FACTORS = np.diag([3.0, -0.1, 7.0])
FIRST = np.array([[1.0, 2.0, 0.0], [0.0, 0.5, -1.0], [0.0, 0.0, 0.0]])


def test_a_multiple_of_a_map_reads_its_result() -> None:
    _, after = shared(FACTORS @ FIRST)
    line = after.operations[2]
    assert isinstance(line, Affine) and line.input == 1 and line.matrix.nnz == 2


@pytest.mark.parametrize(
    "other", [FIRST + 1e-6 * np.eye(3), FIRST[::-1].copy(), np.diag([1.0, 0, 0]) @ FIRST]
)
def test_other_maps_stay(other: np.ndarray) -> None:
    program, after = shared(other)
    assert [op.reads for op in after.operations] == [op.reads for op in program.operations]


def test_a_map_of_the_same_level_stays() -> None:
    operations = tuple(
        Affine(0, sparse.csr_array(factor * FIRST), np.zeros(3), (3,), "layer", "Linear")
        for factor in (1.0, 2.0)
    )
    program = TensorProgram((3,), (*operations, Multiply(1, 2, (3,), "product")), 3, (3,))
    assert [op.reads for op in share_maps(program).operations] == [(0,), (0,), (1, 2)]
