"""The sensitivity of a network's outputs to noise in its values, measured on calibration samples.

Noise e in value v reaches output o as sum_i (d o / d v_i) e_i, so the variance of o is the sum over values and elements
of the gradient squared times the noise variance. The gradients are exact (reverse mode).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.compiler.noise.noise_tail_bounds import Noise
from hetorch.distinct import spread
from hetorch.ir.interpreter import run_tensor_program, trace_tensor_program
from hetorch.ir.tensor_program import Add, Affine, Bootstrap, Chebyshev, Multiply, TensorOp, TensorProgram

Array = NDArray[np.float64]

SAMPLES = 8
"""Number of calibration samples at which gradients are taken. Half of them are spread over all samples; the others are
those with the largest values, because products multiply an error by the values that it meets. Raised, the prediction
sees more of the data, and measuring takes longer in proportion."""
POINTS = 64
"""Number of points at which the noise of a polynomial is averaged: quantiles of what it reads. The noise depends on the
point, more so for higher degrees. Raised, predictions take longer."""
OUTPUTS = 16
"""Number of outputs whose gradients are taken, spread over all. Raised, measuring takes longer in proportion."""


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """The sensitivity of the outputs to noise in each value; every field has one entry per value.

    `plain`: over (samples * outputs) rows, the sum over elements of the gradient squared, and its largest term.
    `weighted`: the same, weighted with the squared row norms of the matrix that made the value (zeros for values that
    no map made). `power`: the mean square of the value's elements in the sample where it is largest. `samples`: the
    value's elements in the chosen samples, (samples, size). `points`: quantiles of these for
    values that polynomials read, (POINTS,), and nothing for others.
    """

    plain: tuple[Noise, ...]
    weighted: tuple[Noise, ...]
    power: tuple[float, ...]
    samples: tuple[Array, ...]
    points: tuple[Array, ...]

    def with_mixtures(self, slots: Mapping[int, Array]) -> Sensitivity:
        """Return the sensitivity in which the power of row-packed values counts their mixtures too.

        Mixtures are the contents of the unused slots (hetorch.compiler.packing.row_packing).

        Args:
            slots: by value, the contents of all its slots on the samples, (samples, slots).
        """
        power = list(self.power)
        for value, contents in slots.items():
            squares = np.einsum("ij,ij->i", contents, contents)
            power[value] = max(power[value], float(np.max(squares)) / contents.shape[1])
        return replace(self, power=tuple(power))


def measure_sensitivity(program: TensorProgram, inputs: Array) -> Sensitivity:
    """Measure the sensitivity on a few of the calibration `inputs`, (batch, *shape)."""
    squares_of_samples: list[Array] = []

    def add_squares(_: int, value: Array) -> None:
        squares_of_samples.append(np.einsum("ij,ij->i", value, value) / value.shape[1])

    # All values of a deep network on all inputs would take gigabytes.
    run_tensor_program(program, inputs, add_squares)
    samples = trace_tensor_program(program, inputs[_samples(squares_of_samples)])
    gradients: list[Array | None] = [None] * program.value_count
    gradients[program.output] = _output_gradients(samples[program.output])
    nothing = Noise(np.zeros(1), np.zeros(1))
    plain, weighted = [nothing] * program.value_count, [nothing] * program.value_count
    for value in range(program.value_count - 1, -1, -1):
        gradient = gradients[value]
        gradients[value] = None
        if gradient is None:
            continue
        squares = gradient**2
        plain[value] = _rows(squares)
        if value == 0:
            continue
        op = program.operations[value - 1]
        if isinstance(op, Affine):
            norms = np.asarray(op.matrix.multiply(op.matrix).sum(axis=1)).reshape(-1)
            weighted[value] = _rows(squares * norms)
        for operand, passed in _passed_back(op, gradient, samples):
            before = gradients[operand]
            gradients[operand] = passed if before is None else before + passed
    power = tuple(float(np.max(squares)) for squares in squares_of_samples)
    return Sensitivity(tuple(plain), tuple(weighted), power, tuple(samples), _points(program, samples))


def _points(program: TensorProgram, samples: Sequence[Array]) -> tuple[Array, ...]:
    """Return quantiles of each value that a polynomial reads, and an empty array for each other value."""
    read = {op.input for op in program.operations if isinstance(op, Chebyshev)}
    shares = (np.arange(POINTS) + 0.5) / POINTS
    return tuple(
        np.quantile(value, shares, method="nearest") if number in read else np.zeros(0)
        for number, value in enumerate(samples)
    )


def _output_gradients(output: Array) -> Array:
    """Return the gradients of the chosen outputs by the output value: ones, (samples, outputs, size)."""
    batch, size = output.shape
    outputs = spread(size, OUTPUTS)
    ones = np.zeros((batch, len(outputs), size))
    ones[:, np.arange(len(outputs)), outputs] = 1.0
    return ones


def _passed_back(op: TensorOp, gradient: Array, samples: Sequence[Array]) -> list[tuple[int, Array]]:
    """Return (operand, gradient by the operand) for each operand of `op`, from the gradient by its result."""
    match op:
        case Affine():
            batch, outputs, size = gradient.shape
            back = np.asarray((op.matrix.T @ gradient.reshape(-1, size).T).T)
            return [(op.input, back.reshape(batch, outputs, -1))]
        case Add():
            return [(op.a, gradient), (op.b, gradient)]
        case Multiply():
            return [
                (op.a, gradient * samples[op.b][:, None, :]),
                (op.b, gradient * samples[op.a][:, None, :]),
            ]
        case Chebyshev():
            slope = chebyshev.chebval(samples[op.input], chebyshev.chebder(op.coefficients))
            return [(op.input, gradient * slope[:, None, :])]
        case Bootstrap():
            return [(op.input, gradient)]
        case _:
            raise AssertionError("activations are approximated before this pass")


def _rows(terms: Array) -> Noise:
    return Noise(terms.sum(axis=2).reshape(-1), terms.max(axis=2).reshape(-1))


def _samples(squares: Sequence[Array]) -> NDArray[np.int64]:
    """Choose the samples, from the mean square of each value in each sample. The same data give the same samples."""
    count = len(squares[0])
    spread = np.linspace(0, count - 1, min(count, SAMPLES // 2)).astype(np.int64)
    relative = [square / max(float(np.mean(square)), 1e-300) for square in squares]
    largest = np.argsort(-np.max(relative, axis=0), kind="stable")[: SAMPLES - SAMPLES // 2]
    return np.unique(np.concatenate([spread, largest]))
