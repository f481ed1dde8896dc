"""Slow and obvious interpreters in numpy: the definitions with which every pass and engine is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetorch.errors import InputError
from hetorch.ir.he_program import HeProgram
from hetorch.ir.tensor_program import TensorProgram

Array = NDArray[np.float64]


def trace_tensor_program(program: TensorProgram, x: ArrayLike) -> list[Array]:
    """Return every value, each (batch, size), for inputs `x` of shape (batch, *input_shape).

    Raises:
        InputError: the inputs have another shape.
    """
    array = np.asarray(x, dtype=np.float64)
    if array.ndim == 0 or array.shape[1:] != program.input_shape:
        raise InputError(f"expected inputs of shape (batch, *{program.input_shape}), got {array.shape}")
    values = [array.reshape(array.shape[0], -1)]
    for op in program.operations:
        values.append(op.evaluate(values))
    return values


def run_tensor_program(program: TensorProgram, x: ArrayLike) -> Array:
    """Return the output, (batch, *output_shape), for inputs `x` of shape (batch, *input_shape)."""
    output = trace_tensor_program(program, x)[program.output]
    return output.reshape(output.shape[0], *program.output_shape)


def run_he_program(
    program: HeProgram, weights: Mapping[str, NDArray[np.generic]], inputs: Sequence[Array]
) -> list[Array]:
    """Return the output slots for input slots, arrays of shape (slot_count,), by exact arithmetic without noise."""
    values: dict[int, Array] = dict(zip(program.inputs, inputs, strict=True))
    for op in program.operations:
        results = op.evaluate(program, [values[number] for number in op.reads], weights)
        values.update(zip(op.makes, results, strict=True))
    return [values[number] for number in program.outputs]
