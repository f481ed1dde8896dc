"""Slow and obvious interpreters in numpy: the definitions with which every pass and engine is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
    values = [_flat_inputs(program, x)]
    for op in program.operations:
        values.append(op.evaluate(values))
    return values


def _flat_inputs(program: TensorProgram, x: ArrayLike) -> Array:
    array = np.asarray(x, dtype=np.float64)
    if array.ndim == 0 or array.shape[1:] != program.input_shape:
        raise InputError(f"expected inputs of shape (batch, *{program.input_shape}), got {array.shape}")
    return array.reshape(array.shape[0], -1)


def run_tensor_program(
    program: TensorProgram, x: ArrayLike, seen: Callable[[int, Array], None] = lambda number, value: None
) -> Array:
    """Return the output, (batch, *output_shape), for inputs `x` of shape (batch, *input_shape).

    Values are dropped after their last use. Before, `seen` is called with the number of each value and the value.
    """
    values: dict[int, Array] = {0: _flat_inputs(program, x)}
    seen(0, values[0])
    last = last_uses(program)
    for index, op in enumerate(program.operations):
        values[index + 1] = op.evaluate(values)
        seen(index + 1, values[index + 1])
        for value in {*op.reads, index + 1}:
            if last[value] <= index and value != program.output:
                del values[value]
    output = values[program.output]
    return output.reshape(output.shape[0], *program.output_shape)


def last_uses(program: TensorProgram) -> list[int]:
    """Return the index of the last operation that reads each value; of one that none reads, the one that makes it."""
    last = [index - 1 for index in range(program.value_count)]
    for index, op in enumerate(program.operations):
        for value in op.reads:
            last[value] = index
    return last


def run_he_program(
    program: HeProgram, weights: Mapping[str, NDArray[np.generic]], inputs: Sequence[Array]
) -> list[Array]:
    """Return the output slots for input slots, arrays of shape (slot_count,), by exact arithmetic without noise."""
    values: dict[int, Array] = dict(zip(program.inputs, inputs, strict=True))
    for op in program.operations:
        results = op.evaluate(program, [values[number] for number in op.reads], weights)
        values.update(zip(op.makes, results, strict=True))
    return [values[number] for number in program.outputs]
