from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.passes.assign_levels import assign_levels
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorOp, TensorProgram


def affine(source: int) -> Affine:
    return Affine(source, sparse.csr_array(np.eye(4)), np.zeros(4), (4,), "map", "Linear")


def test_each_value_is_as_low_as_its_readers_allow() -> None:
    operations: tuple[TensorOp, ...] = (
        affine(0),
        Chebyshev(1, (0.0, 1.0, 0.0, 0.5), (4,), "f", "f"),  # degree 3: two levels
        affine(0),
        Add(2, 3, (4,), "sum"),
        Multiply(4, 4, (4,), "square"),
    )
    program = TensorProgram((4,), operations, 5, (4,))
    levels = assign_levels(program)
    assert levels == (4, 3, 1, 1, 1, 0)
    for index, op in enumerate(operations):
        assert all(levels[value] >= levels[index + 1] + op.depth for value in op.reads)
