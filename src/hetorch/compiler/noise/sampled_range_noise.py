"""The noise that reaches the inputs of the polynomials, measured on samples to which noise is added.

In a deep network the bound of range_noise multiplies the steepest slope of every layer, which no input has in all
layers: of a ResNet-20 it is more than ten times what is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.noise.range_noise import DEVIATIONS
from hetorch.distinct import spread
from hetorch.ir.interpreter import last_uses
from hetorch.ir.tensor_program import Affine, Chebyshev, TensorProgram

Array = NDArray[np.float64]

MOST_INPUTS = 64
"""Number of calibration inputs that are run, spread over all. Raised, standard deviations are nearer, and finding them
takes longer and more memory."""
REPEATS = 4
"""Runs with other noise. With 64 inputs, a standard deviation is then known to 5 percent, and the largest of many is
overestimated by 20. Raised, it is nearer and takes longer."""
SEED = 1


def sampled_range_noise(
    program: TensorProgram, inputs: Array, own: Sequence[tuple[float, float]], scales: Sequence[float]
) -> float:
    """Return DEVIATIONS times the largest standard deviation of the noise at an input of a series; 0 without series.

    Args:
        program: the network, without activations.
        inputs: calibration inputs, (batch, *shape).
        own: the variances of the noise that each value's operation adds (predict_errors.OwnNoise).
        scales: one per value.
    """
    some = inputs[spread(len(inputs), MOST_INPUTS)]
    rng, flat = np.random.default_rng(SEED), some.reshape(len(some), -1)
    added = [math.sqrt(first) / scale for (first, _), scale in zip(own, scales, strict=True)]
    switched = [math.sqrt(second) for _, second in own]
    read = {op.input for op in program.operations if isinstance(op, Chebyshev)}
    last, largest = last_uses(program), 0.0

    def noisy(values: Array, deviation: float) -> Array:
        return values + deviation * rng.standard_normal(values.shape) if deviation else values

    # The exact values, and those of each run.
    runs = [{0: flat}, *({0: noisy(flat, added[0])} for _ in range(REPEATS))]
    for index, op in enumerate(program.operations):
        value = index + 1
        for number, values in enumerate(runs):
            operands: dict[int, Array] = values
            if number and isinstance(op, Affine):
                operands = {op.input: noisy(values[op.input], switched[value])}
            result = op.evaluate(operands)
            values[value] = noisy(result, added[value]) if number else result
        if value in read:
            squares = sum((values[value] - runs[0][value]) ** 2 for values in runs[1:])
            largest = max(largest, float(np.mean(squares, axis=0).max()) / REPEATS)
        for used in {*op.reads, value}:
            if last[used] <= index:
                for values in runs:
                    values.pop(used, None)
    return DEVIATIONS * math.sqrt(largest)
