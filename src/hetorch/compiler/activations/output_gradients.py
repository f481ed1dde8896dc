"""How an error in the result of each activation reaches the outputs, to first order, on a few calibration samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.ir.tensor_program import (
    Activation,
    Add,
    Affine,
    Bootstrap,
    Chebyshev,
    Multiply,
    TensorOp,
    TensorProgram,
)

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

MOST_SUMS = 8
"""Largest number of signed sums of the outputs whose gradients are taken. Raised, the total error of many outputs is
estimated more exactly and measuring takes longer in proportion."""
STEP = 1e-4
"""Half the distance of the two points between which a function's slope is taken, relative to the largest value that it
gets."""


def output_gradients(program: TensorProgram, values: Sequence[Array]) -> dict[int, Array]:
    """Return the gradients of the outputs by the result of each activation, (samples, sums, size), by its value.

    The expected square of a sum over all elements of gradient times error is the sum of the squared errors of the
    outputs. Many outputs are added up with signs (rows of a Walsh matrix), so that this holds on average.

    Args:
        program: the network.
        values: all its values on the samples, each (samples, size).
    """
    gradients: list[Array | None] = [None] * program.value_count
    gradients[program.output] = _signed_sums(values[program.output])
    kept: dict[int, Array] = {}
    for value in range(program.value_count - 1, 0, -1):
        gradient = gradients[value]
        gradients[value] = None
        if gradient is None:
            continue
        op = program.operations[value - 1]
        if isinstance(op, Activation):
            kept[value] = gradient
        for operand, passed in _passed_back(op, gradient, values):
            before = gradients[operand]
            gradients[operand] = passed if before is None else before + passed
    return kept


def _signed_sums(output: Array) -> Array:
    """Return the gradients of the signed sums by the outputs, (samples, sums, size)."""
    samples, size = output.shape
    if size <= MOST_SUMS:
        rows = np.eye(size)
    else:
        bits = np.arange(size)[None, :] & np.arange(1, MOST_SUMS + 1)[:, None]
        parity = np.array([int(b).bit_count() & 1 for b in bits.reshape(-1)]).reshape(bits.shape)
        rows = (1.0 - 2.0 * parity) / np.sqrt(MOST_SUMS)
    return np.broadcast_to(rows, (samples, *rows.shape))


def _passed_back(op: TensorOp, gradient: Array, values: Sequence[Array]) -> list[tuple[int, Array]]:
    """Return (operand, gradient by the operand) for each operand of `op`, from the gradient by its result."""
    match op:
        case Affine():
            samples, sums, size = gradient.shape
            back = np.asarray((op.matrix.T @ gradient.reshape(-1, size).T).T)
            return [(op.input, back.reshape(samples, sums, -1))]
        case Add():
            return [(op.a, gradient), (op.b, gradient)]
        case Multiply():
            return [
                (op.a, gradient * values[op.b][:, None, :]),
                (op.b, gradient * values[op.a][:, None, :]),
            ]
        case Chebyshev():
            slope = np.asarray(chebyshev.chebval(values[op.input], chebyshev.chebder(op.coefficients)))
            return [(op.input, gradient * slope[:, None, :])]
        case Activation():
            return [(op.input, gradient * _slope(op, values[op.input])[:, None, :])]
        case Bootstrap():
            raise AssertionError("bootstraps are placed after activations are approximated")


def _slope(op: Activation, x: Array) -> Array:
    """Return the slope of the function at `x`, and 0 where it has none."""
    step = STEP * max(float(np.max(np.abs(x))), 1e-300)
    with np.errstate(all="ignore"):
        slope = (op.apply(x + step) - op.apply(x - step)) / (2 * step)
    return np.where(np.isfinite(slope), slope, 0.0)
