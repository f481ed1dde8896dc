"""Pass: give every sum an operand whose scale can be planned, so that the operands of each sum have equal scales.

*Assumes* a program without activations.
*Ensures* that is_free holds for an operand of every Add; the function stays the same.

The scale of the result of an affine map, a polynomial or a bootstrap is free, unless other operations read the value
too. The scale of a product is not free (s_a s_b / q). If neither operand of a sum is free, an identity map is put
before the one with levels to spare.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse

from hetorch.ir.tensor_program import (
    Add,
    Affine,
    Bootstrap,
    Chebyshev,
    TensorOp,
    TensorProgram,
)


def is_free(program: TensorProgram, consumers: list[list[int]], value: int) -> bool:
    """Return whether the scale of `value` may be chosen for the one operation that reads it.

    `consumers` is program.consumers().
    """
    if value == 0:
        return False
    producer = program.operations[value - 1]
    return (
        isinstance(producer, Affine | Chebyshev | Bootstrap)
        and len(consumers[value]) == 1
        and value != program.output
    )


def balance_sums(program: TensorProgram) -> TensorProgram:
    """Return the same function, in which each Add has an operand for which is_free holds."""
    consumers = program.consumers()
    depth = [0]
    for op in program.operations:
        depth.append(max(depth[value] for value in op.reads) + op.depth)
    operations: list[TensorOp] = []
    number = {0: 0}
    for index, op in enumerate(program.operations):
        moved = op.renumbered(number)
        if isinstance(op, Add) and not any(is_free(program, consumers, value) for value in (op.a, op.b)):
            assert isinstance(moved, Add)
            spare_first = depth[op.a] < depth[op.b]
            source = moved.a if spare_first else moved.b
            size = math.prod(op.shape)
            identity = sparse.csr_array(sparse.eye_array(size, format="csr"))
            operations.append(Affine(source, identity, np.zeros(size), op.shape, op.name, "scale"))
            copy = len(operations)
            moved = Add(*((copy, moved.b) if spare_first else (moved.a, copy)), op.shape, op.name)
        operations.append(moved)
        number[index + 1] = len(operations)
    return TensorProgram(program.input_shape, tuple(operations), number[program.output], program.output_shape)
