"""Slow and obvious interpreters in numpy: the definitions that every pass and engine is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

from hetorch.errors import InputError
from hetorch.ir.he_program import (
    Add,
    AddBias,
    DropLevel,
    HeProgram,
    LinearTransform,
    Multiply,
    Polynomial,
    Rescale,
    RotateAdd,
)
from hetorch.ir.tensor_program import Activation, Affine, Chebyshev, TensorOp, TensorProgram
from hetorch.ir.tensor_program import Add as TensorAdd

Array = NDArray[np.float64]

DENSE = 0.25
"""Share of non-zeros from which a matrix is multiplied as a dense one."""


def apply_tensor_op(op: TensorOp, values: Sequence[Array]) -> Array:
    """One operation on a batch: `values[v]` is float64 of shape (batch, size of v)."""
    if isinstance(op, Affine):
        rows, columns = op.matrix.shape
        # The product of dense matrices goes through memory once, not once a row.
        dense = op.matrix.nnz >= rows * columns * DENSE and len(values[op.input]) > 1
        matrix = op.matrix.toarray() if dense else op.matrix
        return np.asarray((matrix @ values[op.input].T).T + op.bias)
    if isinstance(op, Activation):
        return op.apply(values[op.input])
    if isinstance(op, Chebyshev):
        return np.asarray(chebyshev.chebval(values[op.input], op.coefficients))
    if isinstance(op, TensorAdd):
        return values[op.a] + values[op.b]
    return values[op.a] * values[op.b]


def trace_tensor_program(program: TensorProgram, x: ArrayLike) -> list[Array]:
    """Every value, each (batch, size), for inputs `x` of shape (batch, *input_shape). InputError on another shape."""
    array = np.asarray(x, dtype=np.float64)
    if array.ndim == 0 or array.shape[1:] != program.input_shape:
        raise InputError(f"expected inputs of shape (batch, *{program.input_shape}), got {array.shape}")
    values = [array.reshape(array.shape[0], -1)]
    for op in program.operations:
        values.append(apply_tensor_op(op, values))
    return values


def run_tensor_program(program: TensorProgram, x: ArrayLike) -> Array:
    """The output, (batch, *output_shape), for inputs `x` of shape (batch, *input_shape)."""
    output = trace_tensor_program(program, x)[program.output]
    return output.reshape(output.shape[0], *program.output_shape)


def run_he_program(
    program: HeProgram, weights: Mapping[str, NDArray[np.generic]], inputs: Sequence[Array]
) -> list[Array]:
    """The output slots for input slots, arrays of shape (slot_count,): exact arithmetic, no levels, no noise."""
    values: dict[int, Array] = dict(zip(program.inputs, inputs, strict=True))
    for op in program.operations:
        match op:
            case LinearTransform():
                part = {
                    key: weights[f"{op.weight}.{key}"] for key in ("outputs", "inputs", "giants", "babies")
                }
                diagonals = np.asarray(weights[f"{op.weight}.values"], dtype=np.float64)
                for number in op.results:
                    values[number] = np.zeros(program.slot_count)
                for t, diagonal in enumerate(diagonals):
                    steps = int(part["giants"][t]) + int(part["babies"][t])
                    source = values[op.inputs[int(part["inputs"][t])]]
                    periods = _spread(diagonal, program)
                    values[op.results[int(part["outputs"][t])]] += periods * np.roll(source, -steps)
            case RotateAdd():
                values[op.result] = values[op.input] + np.roll(values[op.input], -op.steps)
            case AddBias():
                bias = np.asarray(weights[op.weight], dtype=np.float64)
                values[op.result] = values[op.input] + _spread(bias, program)
            case Add():
                values[op.result] = values[op.a] + values[op.b]
            case Multiply():
                values[op.result] = values[op.a] * values[op.b]
            case Rescale() | DropLevel():
                values[op.result] = values[op.input]
            case Polynomial():
                values[op.result] = np.asarray(chebyshev.chebval(values[op.input], op.coefficients))
    return [values[number] for number in program.outputs]


def _spread(period: Array, program: HeProgram) -> Array:
    """One period of positions over all slots: each position has `batch` slots side by side."""
    return np.tile(np.repeat(period, program.batch), program.slot_count // program.batch // len(period))
