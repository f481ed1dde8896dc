"""Pass: the error that encryption adds to the output, to first order, before anything is encrypted.

Every operation adds noise of known standard deviation (engine.noise) to its result. What reaches output o from noise
e in value v is sum_i (d o / d v_i) e_i, so the variance of o is the sum over values and elements of gradient squared
times noise variance. The gradients are exact (reverse mode) on calibration samples; noise in different slots and
operations is independent, and terms of second order are below the square of the result. How far beyond its deviation a
sum may go is told by its largest terms (hetorch.compiler.noise.noise_tail_bounds).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.compiler.noise.noise_tail_bounds import Noise, bound
from hetorch.compiler.packing.diagonals import Lowered
from hetorch.engine.noise import NoiseModel
from hetorch.engine.polynomial_noise import polynomial_noise
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorProgram

Array = NDArray[np.float64]

SAMPLES = 8
OUTPUTS = 16
"""Calibration samples and outputs at which gradients are taken: half of the samples are spread over all, the others are
those with the largest values, because products multiply an error by the values that it meets."""
POINTS = (np.arange(64) + 0.5) / 32 - 1
"""Where in [-1, 1] the noise of a polynomial is taken: evenly, as its mean square."""


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """For each value, over (samples * outputs) rows: `plain`, the sum over elements of the gradient squared, and its
    largest term; `weighted`, the same weighted with the row norms of the matrix that made the value (zeros for other
    operations); `power`, the mean square of the value's elements in the sample where it is largest; and `samples`, its
    elements in the samples taken, (samples, size)."""

    plain: tuple[Noise, ...]
    weighted: tuple[Noise, ...]
    power: tuple[float, ...]
    samples: tuple[Array, ...]

    def with_mixtures(self, slots: Mapping[int, Array]) -> Sensitivity:
        """With the power of all slots, (samples, slots), of the values that have them."""
        power = list(self.power)
        for value, held in slots.items():
            power[value] = max(power[value], float(np.max(np.einsum("ij,ij->i", held, held))) / held.shape[1])
        return replace(self, power=tuple(power))


def measure_sensitivity(program: TensorProgram, values: Sequence[Array]) -> Sensitivity:
    """Gradients of the outputs on a few samples of the trace `values` (batch, size) of calibration inputs."""
    squares_of_samples = [np.einsum("ij,ij->i", value, value) / value.shape[1] for value in values]
    chosen = _samples(squares_of_samples)
    samples = [value[chosen] for value in values]
    batch, size = samples[program.output].shape
    outputs = np.unique(np.linspace(0, size - 1, min(size, OUTPUTS)).astype(np.int64))
    gradients: list[Array | None] = [None] * program.value_count
    seed = np.zeros((batch, len(outputs), size))
    seed[:, np.arange(len(outputs)), outputs] = 1.0
    gradients[program.output] = seed
    nothing = Noise(np.zeros(1), np.zeros(1))
    plain, weighted = [nothing] * program.value_count, [nothing] * program.value_count

    def send(value: int, gradient: Array) -> None:
        before = gradients[value]
        gradients[value] = gradient if before is None else before + gradient

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
        match op:
            case Affine():
                norms = np.asarray(op.matrix.multiply(op.matrix).sum(axis=1)).reshape(-1)
                weighted[value] = _rows(squares * norms)
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
    power = tuple(float(np.max(squares)) for squares in squares_of_samples)
    return Sensitivity(tuple(plain), tuple(weighted), power, tuple(samples))


def _rows(terms: Array) -> Noise:
    return Noise(terms.sum(axis=2).reshape(-1), terms.max(axis=2).reshape(-1))


def _samples(squares: Sequence[Array]) -> NDArray[np.int64]:
    """Indices of samples, given the mean square of each value in each sample; for the same data the same."""
    count = len(squares[0])
    spread = np.linspace(0, count - 1, min(count, SAMPLES // 2)).astype(np.int64)
    relative = [square / max(float(np.mean(square)), 1e-300) for square in squares]
    largest = np.argsort(-np.max(relative, axis=0), kind="stable")[: SAMPLES - SAMPLES // 2]
    return np.unique(np.concatenate([spread, largest]))


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
    least: bool = False,
    modulus_chain: Sequence[int] | None = None,
) -> tuple[tuple[float, ...], float]:
    """For each value a bound of what its own noise adds to the worst output, and of what all add together.
    `lowered` is by index of operation; primes are taken as 2^prime_bits, in polynomials as those of `modulus_chain` if
    it is there: these square how far a prime is from the scale. `encrypted`: diagonals and biases are encrypted under a
    public key, inputs rotated one by one, and each sum of a giant step is relinearised. `least`: as if all sums were
    over many slots, for a lower bound."""
    message = model.public() if encrypted else model.encoding()
    prime = 2.0**prime_bits
    mixing = _mixing(program, lowered)
    shares: list[list[Noise]] = []
    for value in range(program.value_count):
        level, scale = levels[value], scales[value]
        switched = 0.0
        if value == 0:
            own = model.fresh() ** 2
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
                case Multiply():
                    own = model.rounding() ** 2 + (model.key_switch(level + 1) / prime) ** 2
                case Chebyshev():
                    sources = polynomial_noise(
                        model,
                        op.coefficients,
                        POINTS,
                        level=level + op.depth,
                        input_scale=scales[op.input],
                        output_scale=scale,
                        modulus_chain=modulus_chain or [prime] * (level + op.depth + 1),
                    )
                    own = float(np.mean(np.sum(sources**2, axis=0))) * scale**2
                case _:
                    own = 0.0
        together = 0.0 if least else mixing[value]
        shares.append(
            [
                _scaled(sensitivity.plain[value], own / scale**2, together),
                _scaled(sensitivity.weighted[value], switched, together),
            ]
        )
    everything = [noise for share in shares for noise in share]
    return tuple(bound(share) for share in shares), bound(everything)


def _scaled(noise: Noise, factor: float, together: float) -> Noise:
    """`noise` times `factor`, where terms of `together` elements share a slot."""
    variance = noise.variance * factor
    if math.isinf(together):
        return Noise(variance, variance)
    return Noise(variance, np.minimum(variance, noise.largest * (factor * together)))


def _mixing(program: TensorProgram, lowered: Mapping[int, Lowered]) -> list[float]:
    """For each value how many of its elements may share a slot when they meet in a sum; infinite (all of them) where
    no later map rotates: the noise of all is then multiplied by the key's value in one slot."""
    parts = [1] * program.value_count
    for value in range(1, program.value_count):
        match program.operations[value - 1]:
            case Affine() as op:
                parts[op.input] = max(parts[op.input], lowered[value - 1].transform.input_count)
                parts[value] = lowered[value - 1].transform.output_count
            case Add(a=a, b=b) | Multiply(a=a, b=b):
                parts[value] = max(parts[a], parts[b])
            case Chebyshev(input=source):
                parts[value] = parts[source]
    rotating = [index for index, found in lowered.items() if found.babies or found.giants or found.folds]
    last = max(rotating, default=-1)
    return [float(parts[value]) if value <= last else math.inf for value in range(program.value_count)]
