"""Pass: find the units of each layer's result, in which a plan and a model can be compared.

*Assumes* the network as it was approximated, whose values are the model's up to its approximations, and a program that
other passes made of it.
*Ensures* gains and offsets with gain * result + offset = the value of the network, to rounding, wherever a result is
such a value; the last name of a layer tells which.

Passes move factors and offsets around: a range is mapped to [-1, 1] by the layer before an activation, the sign of a
square goes into the layer after it, and a sum takes what its reader multiplies it by. What they made of a value is
found by running both programs on the same inputs: the relation of each element is a line, so that two inputs determine
it and the others confirm it. A result that no line confirms, such as a part of a polynomial, has no units.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.bootstraps.insert_bootstraps import REFRESHED
from hetorch.distinct import spread
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import Bootstrap, TensorProgram
from hetorch.plan.report import JOINED

Array = NDArray[np.float64]

SAMPLES = 12
"""Number of inputs on which the programs are compared. Raised, an element is less often constant on all of them, and
compiling takes longer."""
ROUNDING = 1e-9
"""Largest distance from a line, as a share of the largest value, that counts as rounding: 2^-53 after factors of up to
2^10 and sums of thousands of terms is below 1e-11, and errors of polynomials are far above."""
LARGE = 2.0**40
"""Bound of a bootstrap without distortion: a value of 2^10 differs by 2^-60 of itself. Raised, values may be larger."""
DIGITS = 12
"""Significant digits that are kept. Raised, plans have more bytes, for digits that rounding has made."""


@dataclass(frozen=True, slots=True)
class ModelUnits:
    """The units of a layer: gain * result + offset is the model's value, one pair for each of equal parts of the
    elements, in order; no pairs if it is the result itself."""

    gain: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()


def model_units(approximated: Approximated, program: TensorProgram, inputs: Array) -> list[ModelUnits | None]:
    """Return the units of each value of `program`; None for those that are no value of the network.

    `inputs`: calibration inputs, (batch, *shape).
    """
    some = inputs[spread(len(inputs), SAMPLES)]
    network, made = _trace(approximated.program, some), _trace(_undistorted(program), some)
    named: dict[str, list[int]] = defaultdict(list)
    for value in sorted(set(approximated.values)):
        if value:
            named[_last_name(approximated.program.operations[value - 1].name)].append(value)
    units: list[ModelUnits | None] = [ModelUnits()]
    for op, result in zip(program.operations, made[1:], strict=True):
        truths = [network[value] for value in named[_last_name(op.name.removesuffix(REFRESHED))]]
        found = [_related(result, truth, op.shape) for truth in truths if truth.shape == result.shape]
        units.append(min((part for part in found if part), key=lambda part: len(part.gain), default=None))
    return units


def _trace(program: TensorProgram, inputs: Array) -> list[Array]:
    """Return every value. Inputs run one by one: that takes no product whose rounding depends on threads."""
    with np.errstate(over="ignore", invalid="ignore"):
        runs = [trace_tensor_program(program, one[np.newaxis]) for one in inputs]
    return [np.concatenate(values) for values in zip(*runs, strict=True)]


def _undistorted(program: TensorProgram) -> TensorProgram:
    """Return the program with bootstraps that are the identity to rounding: the sine is a line within a large bound."""
    operations = tuple(
        replace(op, bound=LARGE) if isinstance(op, Bootstrap) else op for op in program.operations
    )
    return replace(program, operations=operations)


def _last_name(name: str) -> str:
    return name.rsplit(JOINED, 1)[-1]


def _related(result: Array, truth: Array, shape: tuple[int, ...]) -> ModelUnits | None:
    """Return the units with which results (samples, elements) are `truth`, with as few pairs as there can be."""
    if not (np.all(np.isfinite(result)) and np.all(np.isfinite(truth))):
        return None
    most = ROUNDING * float(np.max(np.abs(truth), initial=0.0))
    if np.all(np.abs(result - truth) <= most):
        return ModelUnits()
    for parts in dict.fromkeys((1, shape[0] if shape else 1, result.shape[1])):
        x, y = (np.moveaxis(v.reshape(len(v), parts, -1), 1, 0).reshape(parts, -1) for v in (result, truth))
        gain = _slopes(x, y)
        offset = y.mean(axis=1) - gain * x.mean(axis=1)
        if np.all(np.abs(gain[:, None] * x + offset[:, None] - y) <= most):
            return ModelUnits(_rounded(gain), _rounded(offset))
    return None


def _slopes(x: Array, y: Array) -> Array:
    """Return the slope of the line through the points of each row, 0 where all are one point."""
    centred = x - x.mean(axis=1, keepdims=True)
    spread = np.sum(centred**2, axis=1)
    slopes = np.divide(np.sum(centred * y, axis=1), spread, out=np.zeros(len(x)), where=spread > 0)
    return np.asarray(slopes)


def _rounded(numbers: Array) -> tuple[float, ...]:
    return tuple(float(f"{number:.{DIGITS}g}") for number in numbers)
