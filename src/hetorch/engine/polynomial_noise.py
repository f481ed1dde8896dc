"""The noise of a Chebyshev series, computed along the schedule by which the engines evaluate it.

Every division by a prime and every rounding of coefficients is an independent source of noise. T_2j = 2 T_j^2 - 1
multiplies an error by 4 T_j and squares the ratio of the scale to the prime: if the input is at 2^d times the prime,
T_k is at 2^(d k) times the prime, and its factor is encoded at a scale that is smaller by this ratio. So the noise
depends on the input's scale more than on anything else, and only the schedule shows how.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.engine.noise import UNIFORM, NoiseModel
from hetorch.engine.polynomial import BasisStep, ChebyshevSchedule, Series, chebyshev_schedule

Array = NDArray[np.float64]
Rows = dict[int, Array]
"""The error that each source of noise, by its number, contributes at each point."""


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """An intermediate ciphertext: its exact value at each point, its scale, and the noise in it."""

    exact: Array
    scale: float
    rows: Rows


def polynomial_noise(
    model: NoiseModel,
    coefficients: Sequence[float],
    points: Array,
    *,
    level: int,
    input_scale: float,
    output_scale: float,
    modulus_chain: Sequence[float],
) -> Array:
    """Return the standard deviation, to first order, that each source adds to the result: (sources, points).

    The series is evaluated at `points`, for an input at `level` and `input_scale`. Sources are independent. The result
    for a constant series is one row of zeros.
    """
    schedule = chebyshev_schedule(
        coefficients,
        level=level,
        input_scale=input_scale,
        output_scale=output_scale,
        modulus_chain=modulus_chain,
    )
    if len(schedule.series.coefficients) == 1:
        return np.zeros((1, len(points)))
    walk = _Walk(model, schedule, modulus_chain, np.asarray(points, dtype=np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack(list(walk.result().rows.values()))


class _Walk:
    def __init__(
        self, model: NoiseModel, schedule: ChebyshevSchedule, modulus_chain: Sequence[float], points: Array
    ) -> None:
        self._model, self._schedule, self._chain, self._points = model, schedule, modulus_chain, points
        self._basis = {1: Value(points, schedule.scales[1], {})}
        self._sources = 0

    def result(self) -> Value:
        for step in self._schedule.basis:
            self._basis[step.index] = self._basis_value(step)
        return self._series(self._schedule.series)

    def _basis_value(self, step: BasisStep) -> Value:
        left, right = self._basis[step.left], self._basis[step.right]
        rows = {source: 2 * row for source, row in _product(left, right).items()}
        if step.left != step.right:
            rows = _sum(rows, self._constants([(self._basis[1], -1.0)], left.scale * right.scale))
        exact = 2 * left.exact * right.exact - (1.0 if step.left == step.right else self._points)
        return Value(exact, step.scale, self._divided(rows, step.level, step.scale))

    def _series(self, series: Series) -> Value:
        total = series.scale * self._chain[series.level + 1]
        parts: list[Rows] = []
        for product in series.products:
            giant = self._basis[product.giant]
            if isinstance(product.factor, Series):
                parts.append(_product(self._series(product.factor), giant))
            else:
                parts.append(self._constants([(giant, product.factor)], total))
        rows: Rows = {}
        if series.terms:
            rows = self._constants([(self._basis[i], factor) for i, factor in series.terms], total)
        # From the last product to the first, as the core adds them.
        for part in reversed(parts):
            rows = _sum(part, rows)
        exact = np.asarray(chebyshev.chebval(self._points, series.coefficients), dtype=np.float64)
        return Value(exact, series.scale, self._divided(rows, series.level, series.scale))

    def _constants(self, terms: Sequence[tuple[Value, float]], total: float) -> Rows:
        """Return the noise of a sum of values times constants.

        Each constant is encoded at the scale with which its product has the scale `total`. If that scale is below 1, a
        constant may be rounded to 0, and the loss is the constant itself.
        """
        rows: Rows = {}
        lost = np.zeros(len(self._points))
        for value, factor in terms:
            rows = _sum(rows, {source: factor * row for source, row in value.rows.items()})
            rounding = min(math.sqrt(UNIFORM) * value.scale / total, abs(factor))
            lost += (rounding * value.exact) ** 2
        return self._with_source(rows, np.sqrt(lost))

    def _divided(self, rows: Rows, level: int, scale: float) -> Rows:
        """Return the noise after relinearisation and the division by the prime above `level`."""
        switched = self._model.switched(level + 1) / self._chain[level + 1]
        noise = math.hypot(self._model.rounding(), switched) / scale
        return self._with_source(rows, np.full(len(self._points), noise))

    def _with_source(self, rows: Rows, row: Array) -> Rows:
        self._sources += 1
        return {**rows, self._sources: row}


def _product(a: Value, b: Value) -> Rows:
    return _sum(
        {source: row * b.exact for source, row in a.rows.items()},
        {source: row * a.exact for source, row in b.rows.items()},
    )


def _sum(a: Rows, b: Rows) -> Rows:
    total = dict(a)
    for source, row in b.items():
        total[source] = total[source] + row if source in total else row
    return total
