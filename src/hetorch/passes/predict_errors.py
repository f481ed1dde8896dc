"""Pass: the error that encryption adds to the output, to first order, before anything is encrypted.

Every operation adds noise of known standard deviation (engine.noise) to its result. What reaches output o from noise
e in value v is sum_i (d o / d v_i) e_i, so the variance of o is the sum over values and elements of gradient squared
times noise variance. The gradients are exact (reverse mode) on calibration samples; noise in different slots and
operations is independent, and terms of second order are below the square of the result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.engine.noise import NoiseModel
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorProgram
from hetorch.passes.diagonals import Lowered

Array = NDArray[np.float64]

SIGMAS = 6.0
"""A bound of 6 standard deviations: exceeded once in 5 * 10^8 numbers if the noise is Gaussian."""
SAMPLES = 8
OUTPUTS = 16
"""Calibration samples and outputs at which gradients are taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """For each value, over (samples * outputs) rows: `plain`, the sum over elements of the gradient squared;
    `weighted`, the same weighted with the row norms of the matrix that made the value (zeros for other operations); and
    `power`, the mean square of the value's elements."""

    plain: tuple[Array, ...]
    weighted: tuple[Array, ...]
    power: tuple[float, ...]


def measure_sensitivity(program: TensorProgram, values: Sequence[Array]) -> Sensitivity:
    """Gradients of the outputs on the first samples of the trace `values` (batch, size) of calibration inputs."""
    samples = [value[:: max(1, len(value) // SAMPLES)][:SAMPLES] for value in values]
    batch, size = samples[program.output].shape
    outputs = np.unique(np.linspace(0, size - 1, min(size, OUTPUTS)).astype(np.int64))
    gradients: list[Array | None] = [None] * program.value_count
    seed = np.zeros((batch, len(outputs), size))
    seed[:, np.arange(len(outputs)), outputs] = 1.0
    gradients[program.output] = seed
    plain: list[Array] = [np.zeros(1)] * program.value_count
    weighted: list[Array] = [np.zeros(1)] * program.value_count

    def send(value: int, gradient: Array) -> None:
        before = gradients[value]
        gradients[value] = gradient if before is None else before + gradient

    for value in range(program.value_count - 1, -1, -1):
        gradient = gradients[value]
        gradients[value] = None
        if gradient is None:
            continue
        squares = gradient**2
        plain[value] = squares.sum(axis=2).reshape(-1)
        if value == 0:
            continue
        op = program.operations[value - 1]
        match op:
            case Affine():
                norms = np.asarray(op.matrix.multiply(op.matrix).sum(axis=1)).reshape(-1)
                weighted[value] = (squares @ norms).reshape(-1)
                flat = gradient.reshape(-1, gradient.shape[2])
                back = np.asarray((op.matrix.T @ flat.T).T)
                send(op.input, back.reshape(batch, len(outputs), -1))
            case Add():
                send(op.a, gradient)
                send(op.b, gradient)
            case Multiply():
                send(op.a, gradient * samples[op.b][:, None, :])
                send(op.b, gradient * samples[op.a][:, None, :])
            case Chebyshev():
                slope = chebyshev.chebval(samples[op.input], chebyshev.chebder(op.coefficients))
                send(op.input, gradient * slope[:, None, :])
    power = tuple(float(np.mean(value**2)) for value in values)
    return Sensitivity(tuple(plain), tuple(weighted), power)


def predict_errors(
    program: TensorProgram,
    lowered: Mapping[int, Lowered],
    levels: Sequence[int],
    scales: Sequence[float],
    model: NoiseModel,
    sensitivity: Sensitivity,
    prime_bits: float,
    *,
    encrypted: bool = False,
) -> tuple[tuple[float, ...], float]:
    """For each value the standard deviation that its own noise causes in the worst output, and that of all together.
    `lowered` is by index of operation; primes are taken as 2^prime_bits. `encrypted`: diagonals and biases are
    encrypted under a public key, inputs rotated one by one, and each sum of a giant step is relinearised."""
    message = model.public() if encrypted else model.encoding()
    prime = 2.0**prime_bits
    shares: list[Array] = []
    for value in range(program.value_count):
        level, scale = levels[value], scales[value]
        if value == 0:
            variance: Array = sensitivity.plain[0] * (model.fresh() / scale) ** 2
        else:
            op = program.operations[value - 1]
            match op:
                case Affine():
                    before = scales[op.input]
                    parts = lowered[value - 1]
                    # Without a rotated input nothing switches keys before the products.
                    turned = model.key_switch(level + 1) if encrypted else model.switched(level + 1)
                    switched = (turned / before) ** 2 if parts.babies else 0.0
                    divisions = 2 * parts.worst_giants + 1 if encrypted else parts.worst_giants
                    divided = divisions * (model.key_switch(level + 1) / prime) ** 2
                    own = parts.lanes * (model.rounding() ** 2 + divided) + message**2
                    own += (parts.lanes - 1) * model.key_switch(level) ** 2
                    rounded = (message * before / prime) ** 2
                    own += rounded * parts.worst_diagonals * parts.lanes * sensitivity.power[op.input]
                    variance = (
                        sensitivity.plain[value] * (own / scale**2) + sensitivity.weighted[value] * switched
                    )
                case Multiply():
                    noise = math.hypot(model.rounding(), model.key_switch(level + 1) / prime)
                    variance = sensitivity.plain[value] * (noise / scale) ** 2
                case Chebyshev():
                    noise = model.polynomial(op.coefficients) * max(1.0, scale / scales[op.input])
                    variance = sensitivity.plain[value] * (noise / scale) ** 2
                case _:
                    variance = np.zeros(1)
        shares.append(variance)
    total = np.zeros(max(len(share) for share in shares))
    for share in shares:
        total = total + share
    return tuple(math.sqrt(float(np.max(share))) for share in shares), math.sqrt(float(np.max(total)))
