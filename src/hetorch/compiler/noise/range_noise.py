"""The noise that reaches the inputs of the polynomials, to first order, in units of their range [-1, 1].

A polynomial of degree n grows like cosh(n arcosh |x|) beyond its range, so noise that leaves the range explodes. A map
that spreads a narrow channel over [-1, 1] multiplies the noise before it by as much, which the error of the outputs
does not show: a channel that hardly changes hardly moves them.

The variance that each value's operation adds is followed from there to the inputs of all series, once for a program.
Elements are taken as independent, and slopes and factors as the largest of the samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.activations.polynomial_growth import LEAST_REACH
from hetorch.ir.tensor_program import Add, Affine, Bootstrap, Chebyshev, Multiply, TensorOp, TensorProgram

Array = NDArray[np.float64]

DEVIATIONS = 8.0
"""Standard deviations of noise that must stay within ROOM. A Gaussian exceeds 8 once in 10^15 numbers, a sum of two
equal Laplace variables once in 10^6. Raised, scales have more bits."""
ROOM = (LEAST_REACH - 1) / 2
"""Distance beyond [-1, 1] that noise may reach. Every polynomial is bounded up to LEAST_REACH; the other half is for
inputs that calibration did not see. Raised, scales have fewer bits and fewer inputs are safe."""


@dataclass(frozen=True, slots=True, eq=False)
class RangeGains:
    """The largest variance at an element that a series reads, for a variance of 1 in each element of one value.

    Both fields are (reads, values), a row for each value that a series reads. `plain` is for noise that is added to the
    value, `weighted` for noise that its matrix multiplies first (zero for values that no map made).
    """

    plain: Array
    weighted: Array


def measure_range_gains(program: TensorProgram, samples: Sequence[Array]) -> RangeGains:
    """Follow noise of variance 1 from each value to the inputs of the series.

    Args:
        program: the network, without activations.
        samples: each value's elements in some samples, (samples, size).
    """
    count = program.value_count
    read = sorted({op.input for op in program.operations if isinstance(op, Chebyshev)})
    gains = RangeGains(np.zeros((len(read), count)), np.zeros((len(read), count)))
    remaining = [len(users) for users in program.consumers()]
    # By value, (size, 2 sources): columns 2 v and 2 v + 1 are for plain and weighted noise of value v.
    variances: dict[int, Array] = {}
    for value in range(max(read, default=-1) + 1):
        op = program.operations[value - 1] if value else None
        passed = np.zeros((samples[0].shape[1], 0)) if op is None else _passed_on(op, variances, samples)
        own = np.pad(passed, ((0, 0), (0, 2 * (value + 1) - passed.shape[1])))
        own[:, 2 * value] = 1.0
        if isinstance(op, Affine):
            own[:, 2 * value + 1] = _squares(op).sum(axis=1)
        for operand in op.reads if op else ():
            remaining[operand] -= 1
            if remaining[operand] <= 0:
                variances.pop(operand, None)
        variances[value] = own
        if value in read:
            row, largest = read.index(value), own.max(axis=0)
            gains.plain[row, : value + 1], gains.weighted[row, : value + 1] = largest[::2], largest[1::2]
    return gains


def range_noise(gains: RangeGains, own: Sequence[tuple[float, float]], scales: Sequence[float]) -> float:
    """Return DEVIATIONS times the largest standard deviation of the noise at an input of a series; 0 without series.

    It is an upper bound: each source is taken at the element that it reaches most.

    Args:
        gains: those of the program.
        own: the variances of the noise that each value's operation adds (predict_errors.OwnNoise).
        scales: one per value.
    """
    added = np.array([first / scale**2 for (first, _), scale in zip(own, scales, strict=True)])
    switched = np.array([second for _, second in own])
    variances = gains.plain @ added + gains.weighted @ switched
    return DEVIATIONS * math.sqrt(float(np.max(variances, initial=0.0)))


def _squares(op: Affine) -> sparse.csr_array:
    matrix = op.matrix
    return sparse.csr_array((matrix.data**2, matrix.indices, matrix.indptr), shape=matrix.shape)


def _passed_on(op: TensorOp, variances: Mapping[int, Array], samples: Sequence[Array]) -> Array:
    """Return the variances that each element of the result takes over from the operands, a column for each source."""
    match op:
        case Affine():
            return np.asarray(_squares(op) @ variances[op.input])
        case Add():
            # The noise of one source is in both operands.
            first, second = _deviations(variances[op.a], variances[op.b])
            return (first + second) ** 2
        case Multiply():
            a, b = (np.max(np.abs(samples[number]), axis=0)[:, None] for number in (op.a, op.b))
            first, second = _deviations(variances[op.a], variances[op.b])
            return np.asarray((b * first + a * second) ** 2)
        case Chebyshev():
            slopes = chebyshev.chebval(samples[op.input], chebyshev.chebder(op.coefficients))
            return np.asarray(np.max(slopes**2, axis=0)[:, None] * variances[op.input])
        case Bootstrap():
            return variances[op.input]
        case _:
            raise AssertionError("activations are approximated before this pass")


def _deviations(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the square roots of the variances of two operands, with as many columns each."""
    count = max(a.shape[1], b.shape[1])
    first, second = (np.pad(np.sqrt(v), ((0, 0), (0, count - v.shape[1]))) for v in (a, b))
    return first, second
