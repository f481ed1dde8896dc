"""Sizes of the numbers in a model: those that cannot be computed, and those that others drown.

Encryption errors are relative to the largest numbers of a ciphertext and of the outputs. Numbers that are far smaller
than their neighbours are lost in these errors.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.ir.tensor_program import TensorProgram

Array = NDArray[np.float64]

LARGEST_EXPONENT = 200
"""Largest |log2| of the size of a value. The predicted errors square ratios of two sizes: above, float64 overflows."""
UNEVEN = 1e4
"""Ratio of sizes from which the user is told: encryption leaves about 11 bits of the range of the outputs."""
MOST_NAMED = 5
"""Number of columns that a sentence names."""
SCALE = "scale it, for example to mean 0 and standard deviation 1"


def check_size(program: TensorProgram, number: int, value: Array) -> None:
    """Raise InputError if value `number` of the program, (batch, size), is too large or too small to be computed."""
    sizes = np.abs(value).max(axis=0, initial=0.0)
    largest = float(sizes.max(initial=0.0))
    if largest == 0 or (math.isfinite(largest) and abs(math.log2(largest)) <= LARGEST_EXPONENT):
        return
    column = _column(program.shape(number), int(sizes.argmax()))
    if number == 0:
        place = f"the calibration inputs reach {largest:.3g} in column {column}"
    else:
        name = program.operations[number - 1].name
        place = f"on the calibration inputs {name} returns up to {largest:.3g} in column {column}"
    raise InputError(
        f"{place}; numbers must lie between 2^-{LARGEST_EXPONENT} and 2^{LARGEST_EXPONENT}: {SCALE}"
    )


def uneven_inputs(inputs: Array) -> str:
    """Return a sentence on the inputs (batch, *shape) that are far larger than most others, or nothing."""
    sizes = _sizes(inputs)
    typical = float(np.median(sizes[sizes > 0])) if np.any(sizes) else 0.0
    large = np.flatnonzero(sizes > UNEVEN * typical) if typical else np.zeros(0, dtype=np.int64)
    if not len(large):
        return ""
    ratio = float(sizes.max()) / typical
    return (
        f"{_columns('input', inputs.shape[1:], large)} up to {ratio:.1g} times larger than most others, which are lost "
        f"beside that: {SCALE}, before the model"
    )


def uneven_outputs(outputs: Array) -> str:
    """Return a sentence on the outputs (batch, ...) that are far smaller than the largest one, or nothing."""
    sizes = _sizes(outputs)
    largest = float(sizes.max(initial=0.0))
    small = np.flatnonzero((sizes > 0) & (sizes < largest / UNEVEN))
    if not len(small):
        return ""
    ratio = largest / float(sizes[small].min())
    return (
        f"{_columns('output', outputs.shape[1:], small)} up to {ratio:.1g} times smaller than the largest one; errors "
        "are relative to that, so little or nothing of them is left: scale the outputs to similar ranges, or compile "
        "one plan for each"
    )


def _sizes(values: Array) -> Array:
    return np.asarray(np.abs(values.reshape(len(values), -1)).max(axis=0, initial=0.0))


def _columns(kind: str, shape: tuple[int, ...], numbers: NDArray[np.int64]) -> str:
    """Return "input column 2 is", or the plural of it with at most MOST_NAMED numbers."""
    named = [_column(shape, int(number)) for number in numbers[:MOST_NAMED]]
    if len(numbers) == 1:
        return f"{kind} column {named[0]} is"
    more = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
    return f"{kind} columns {', '.join(named)}{more} are"


def _column(shape: tuple[int, ...], number: int) -> str:
    """Return the place of an element in its sample: a number, or one for each axis."""
    if len(shape) <= 1:
        return str(number)
    return str(tuple(int(index) for index in np.unravel_index(number, shape)))
