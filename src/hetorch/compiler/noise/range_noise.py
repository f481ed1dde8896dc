"""The noise that reaches the inputs of the polynomials, to first order, in units of their range [-1, 1].

A polynomial of degree n grows like cosh(n arcosh |x|) beyond its range, so noise that leaves the range explodes. A map
that spreads a narrow channel over [-1, 1] multiplies the noise before it by as much, which the error of the outputs
does not show: a channel that hardly changes hardly moves them.

The variance of each element is followed from the input on. Elements are taken as independent, and slopes and factors
as the largest of the samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.compiler.activations.polynomial_growth import LEAST_REACH
from hetorch.ir.tensor_program import Activation, Add, Affine, Chebyshev, Multiply, TensorProgram

Array = NDArray[np.float64]

DEVIATIONS = 8.0
"""Standard deviations of noise that must stay within ROOM. A Gaussian exceeds 8 once in 10^15 numbers, a sum of two
equal Laplace variables once in 10^6. Raised, scales have more bits."""
ROOM = (LEAST_REACH - 1) / 2
"""Distance beyond [-1, 1] that noise may reach. Every polynomial is bounded up to LEAST_REACH; the other half is for
inputs that calibration did not see. Raised, scales have fewer bits and fewer inputs are safe."""


def range_noise(
    program: TensorProgram,
    own: Sequence[tuple[float, float]],
    scales: Sequence[float],
    samples: Sequence[Array],
) -> float:
    """Return DEVIATIONS times the largest standard deviation of the noise at an input of a series; 0 without series.

    Args:
        program: the network, without activations.
        own: the variances of the noise that each value's operation adds (predict_errors.OwnNoise).
        scales: one per value.
        samples: each value's elements in some samples, (samples, size).
    """
    if not any(isinstance(op, Chebyshev) for op in program.operations):
        return 0.0
    variances: list[Array] = []
    for value, (added, switched) in enumerate(own):
        before = _passed_on(program, value, variances, samples)
        op = program.operations[value - 1] if value else None
        if isinstance(op, Affine) and switched > 0:
            before = before + switched * np.asarray(op.matrix.multiply(op.matrix).sum(axis=1)).reshape(-1)
        variances.append(before + added / scales[value] ** 2)
    read = {op.input for op in program.operations if isinstance(op, Chebyshev)}
    return DEVIATIONS * math.sqrt(max(float(np.max(variances[value])) for value in read))


def _passed_on(
    program: TensorProgram, value: int, variances: Sequence[Array], samples: Sequence[Array]
) -> Array:
    """Return the variance that each element of `value` takes over from the values that it reads."""
    op = program.operations[value - 1] if value else None
    match op:
        case None:
            return np.zeros(samples[0].shape[1])
        case Affine():
            return np.asarray(op.matrix.multiply(op.matrix) @ variances[op.input])
        case Add():
            # Both operands may have the noise of one value.
            return (np.sqrt(variances[op.a]) + np.sqrt(variances[op.b])) ** 2
        case Multiply():
            a, b = (np.max(np.abs(samples[number]), axis=0) for number in (op.a, op.b))
            return np.asarray((b * np.sqrt(variances[op.a]) + a * np.sqrt(variances[op.b])) ** 2)
        case Chebyshev():
            slopes = chebyshev.chebval(samples[op.input], chebyshev.chebder(op.coefficients))
            return np.asarray(np.max(slopes**2, axis=0) * variances[op.input])
        case Activation():
            raise AssertionError("activations are approximated before this pass")
