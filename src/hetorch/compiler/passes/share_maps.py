"""Pass: a map whose rows are multiples of those of another map of the same value reads that map's result instead.

*Assumes* a program without activations.
*Ensures* the same function, up to rounding, at the same levels (hetorch.compiler.passes.assign_levels).

A polynomial of the result of a layer is a sum whose linear term has been fused with the layer. Where the result is at
hand at a higher level, the layer need not run again: a diagonal map of its result takes one diagonal and no rotation.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.passes.assign_levels import assign_levels
from hetorch.compiler.passes.fuse_affine import is_diagonal
from hetorch.ir.tensor_program import Affine, TensorOp, TensorProgram

ROUNDING = 1e-12
"""Largest difference of two maps that count as multiples, relative to their weights: products of weights that are
equal in real numbers differ by rounding. Raised, maps that are nearly multiples are shared too, with that error."""


def share_maps(program: TensorProgram) -> TensorProgram:
    """Return the same function with fewer maps that repeat another one."""
    levels = assign_levels(program)
    operations: list[TensorOp] = list(program.operations)
    by_source: dict[int, list[int]] = defaultdict(list)
    for index, op in enumerate(program.operations):
        if not isinstance(op, Affine) or is_diagonal(op.matrix):
            continue
        for value in by_source[op.input]:
            other = program.operations[value - 1]
            assert isinstance(other, Affine)
            if levels[value] <= levels[index + 1] or other.matrix.shape != op.matrix.shape:
                continue
            factors = _factors(other.matrix, op.matrix)
            if factors is not None:
                scale = sparse.csr_array(sparse.diags_array(factors, format="csr"))
                scale.eliminate_zeros()
                bias = op.bias - factors * other.bias
                operations[index] = Affine(value, scale, bias, op.shape, op.name, op.kind)
                break
        else:
            by_source[op.input].append(index + 1)
    return TensorProgram(program.input_shape, tuple(operations), program.output, program.output_shape)


def _factors(first: sparse.csr_array, second: sparse.csr_array) -> NDArray[np.float64] | None:
    """Return the numbers d with second = diag(d) first; None if there are none."""
    if first.nnz != second.nnz or not np.array_equal(first.indptr, second.indptr):
        return None
    if not np.array_equal(first.indices, second.indices):
        return None
    counts = np.diff(first.indptr)
    factors = np.zeros(first.shape[0])
    starts = first.indptr[:-1][counts > 0]
    factors[counts > 0] = second.data[starts] / first.data[starts]
    expected = np.repeat(factors, counts) * first.data
    return factors if np.all(np.abs(expected - second.data) <= ROUNDING * np.abs(second.data)) else None
