"""Pass: activations become polynomials over the ranges that the calibration inputs reach.

Degree 2 costs one level: a x^2 + b x + c = sign(a) (alpha x + beta)^2 + gamma, with alpha and beta in the affine map
before and sign and gamma in the one after. Higher degrees are Chebyshev series on [-1, 1], with the map of the range to
[-1, 1] in the affine map before. Ranges are taken with the earlier activations already replaced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import sparse

from hetorch.errors import PlanError
from hetorch.ir.activations import ACTIVATIONS
from hetorch.ir.interpreter import apply_tensor_op
from hetorch.ir.tensor_program import (
    Activation,
    Affine,
    Chebyshev,
    Multiply,
    TensorOp,
    TensorProgram,
    renumbered,
)

Array = NDArray[np.float64]

DEGREES = (2, 3, 7, 15, 31)
"""Candidates: the largest degree of each depth 1..5 (2 by completing the square)."""
RANGE_MARGIN = 0.2
"""The calibrated range is widened by this share on both sides: inputs that calibration did not see."""
UNIFORM_WEIGHT = 0.1
"""Share of the least-squares weight that lies evenly on the range, so that the tails stay bounded."""
GRID = 512
SAMPLES = 8192
"""Points of the evenly weighted grid, and most calibration values used in one fit."""
NEGLIGIBLE = 1e-9
"""A coefficient below this share of the largest one is dropped: far below any encryption noise."""


@dataclass(frozen=True, slots=True)
class Approximated:
    """The polynomial network, the largest difference of its outputs from the reference relative to the reference's
    range, the share of inputs with the same argmax, and the degree of each activation in order."""

    program: TensorProgram
    error: float
    agreement: float
    degrees: tuple[int, ...]


def approximate_activations(
    program: TensorProgram,
    inputs: Array,
    reference: Array,
    *,
    degree: int | None = None,
    tolerance: float = 0.05,
    least_agreement: float = 0.99,
) -> Approximated:
    """With `degree` (>= 1) for all, or else the least degrees of DEGREES for which the outputs on the calibration
    `inputs` (batch, *shape) stay within `tolerance` of the range of `reference` and `least_agreement` of the argmax.

    PlanError if no degree reaches that.
    """
    count = sum(isinstance(op, Activation) for op in program.operations)
    if degree is not None or count == 0:
        return _attempt(program, inputs, reference, (degree or 2,) * count)

    def good(candidate: Approximated) -> bool:
        return candidate.error <= tolerance and candidate.agreement >= least_agreement

    ladder = 0
    best = _attempt(program, inputs, reference, (DEGREES[0],) * count)
    while not good(best) and ladder + 1 < len(DEGREES):
        ladder += 1
        best = _attempt(program, inputs, reference, (DEGREES[ladder],) * count)
    if not good(best):
        raise PlanError(
            f"with polynomials of degree {DEGREES[-1]} the outputs differ from the model's by {best.error:.1%} of "
            f"their range (allowed: {tolerance:.1%}) and the argmax agrees on {best.agreement:.1%} of the inputs "
            f"(needed: {least_agreement:.1%}); train with smoother activations (square, SiLU), "
            "pass activation_tolerance=, or fix activation_degree="
        )
    if ladder and count > 1:
        for position in range(count):
            for lower in DEGREES[:ladder]:
                degrees = (*best.degrees[:position], lower, *best.degrees[position + 1 :])
                attempt = _attempt(program, inputs, reference, degrees)
                if good(attempt):
                    best = attempt
                    break
    return best


def compare(outputs: Array, reference: Array) -> tuple[float, float]:
    """Largest difference relative to the range of `reference`, and argmax agreement (1.0 for one output)."""
    flat, truth = outputs.reshape(len(outputs), -1), reference.reshape(len(reference), -1)
    if not np.all(np.isfinite(flat)):
        return math.inf, 0.0
    error = float(np.max(np.abs(flat - truth))) / output_range(truth)
    if truth.shape[1] == 1:
        return error, 1.0
    return error, float(np.mean(flat.argmax(axis=1) == truth.argmax(axis=1)))


def output_range(reference: Array) -> float:
    """Range (max - min) of all outputs; for constant outputs their size, and at least the smallest normal number."""
    span = float(np.max(reference) - np.min(reference))
    return span or float(np.max(np.abs(reference))) or float(np.finfo(np.float64).tiny)


def _attempt(program: TensorProgram, inputs: Array, reference: Array, degrees: Sequence[int]) -> Approximated:
    operations: list[TensorOp] = []
    values: list[Array] = [inputs.reshape(len(inputs), -1)]
    number = {0: 0}
    left = iter(degrees)

    def append(op: TensorOp) -> int:
        operations.append(op)
        values.append(apply_tensor_op(op, values))
        return len(operations)

    with np.errstate(over="ignore", invalid="ignore"):
        for index, op in enumerate(program.operations):
            if isinstance(op, Activation):
                source = number[op.input]
                if not np.all(np.isfinite(values[source])):
                    return Approximated(program, math.inf, 0.0, tuple(degrees))
                made = source
                for step in replacement(op, source, values[source], next(left), len(operations)):
                    made = append(step)
                number[index + 1] = made
            else:
                number[index + 1] = append(renumbered(op, number))
    output = number[program.output]
    result = TensorProgram(program.input_shape, tuple(operations), output, program.output_shape)
    error, agreement = compare(values[result.output], reference)
    return Approximated(result, error, agreement, tuple(degrees))


def replacement(op: Activation, source: int, data: Array, degree: int, made: int) -> list[TensorOp]:
    """Operations that stand for `op` on value `source`, whose calibration values are `data`; `made` operations exist
    before them. The last one is the result."""
    centre, half = widened_range(data)
    scaled = (data.reshape(-1) - centre) / half
    coefficients = fit(lambda t: ACTIVATIONS[op.function](t * half + centre, *op.parameters), scaled, degree)
    size = math.prod(op.shape)

    def scale(value: int, factor: float, offset: float) -> Affine:
        matrix = sparse.csr_array(sparse.diags_array(np.full(size, factor), format="csr"))
        return Affine(value, matrix, np.full(size, offset), op.shape, op.name, "scale")

    label = f"{op.function} ~ degree {len(coefficients) - 1}"
    if len(coefficients) <= 2:
        constant = float(coefficients[0])
        slope = float(coefficients[1]) if len(coefficients) == 2 else 0.0
        # slope * (x - centre) / half + constant; a slope of zero leaves an empty matrix, which is a constant.
        return [scale(source, slope / half, constant - slope * centre / half)]
    if len(coefficients) == 3:
        c, b, a = (float(value) for value in chebyshev.cheb2poly(coefficients))
        alpha, beta = math.sqrt(abs(a)), math.sqrt(abs(a)) * b / (2 * a)
        return [
            scale(source, alpha / half, beta - alpha * centre / half),
            Multiply(made + 1, made + 1, op.shape, op.name, label),
            scale(made + 2, math.copysign(1.0, a), c - b * b / (4 * a)),
        ]
    return [
        scale(source, 1.0 / half, -centre / half),
        Chebyshev(made + 1, tuple(float(c) for c in coefficients), op.shape, op.name, label),
    ]


def widened_range(data: Array) -> tuple[float, float]:
    """Centre and half-width of the range of `data` with the margin; the half-width is positive."""
    low, high = float(data.min()), float(data.max())
    half = (high - low) / 2 * (1 + RANGE_MARGIN)
    return (low + high) / 2, half if half > 0 else max(abs(low), 1.0)


def fit(function: Callable[[Array], Array], data: Array, degree: int) -> Array:
    """Chebyshev coefficients on [-1, 1] by least squares: the distribution of `data`, mixed with an even weight."""
    flat = data.reshape(-1)
    # Every n-th value: deterministic, and calibration batches have no order.
    points = flat[:: max(1, -(-flat.size // SAMPLES))]
    grid = np.linspace(-1.0, 1.0, GRID)
    x = np.concatenate([points, grid])
    weights = np.concatenate(
        [
            np.full(points.size, math.sqrt((1 - UNIFORM_WEIGHT) / points.size)),
            np.full(GRID, math.sqrt(UNIFORM_WEIGHT / GRID)),
        ]
    )
    matrix = chebyshev.chebvander(x, degree) * weights[:, None]
    solution = np.linalg.lstsq(matrix, function(x) * weights, rcond=None)[0]
    kept = np.flatnonzero(np.abs(solution) > NEGLIGIBLE * max(float(np.max(np.abs(solution))), 1e-300))
    return np.asarray(solution[: (int(kept[-1]) if kept.size else 0) + 1])
