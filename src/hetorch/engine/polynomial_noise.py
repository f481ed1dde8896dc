"""The noise of a Chebyshev series as the engines evaluate it: the same splits, levels and scales, step by step.

Every division by a prime and every rounding of coefficients is a source of its own. T_2j = 2 T_j^2 - 1 multiplies an
error by 4 T_j and squares how far the scale is from the prime's: an input at 2^d times the prime gives T_k at 2^(d k)
times it, and what is multiplied by T_k is then encoded at a scale that much smaller. So the scale of the input matters
more than anything else, and only the recursion itself shows it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.engine.noise import UNIFORM, NoiseModel
from hetorch.engine.polynomial import polynomial_depth

Array = NDArray[np.float64]
Rows = dict[int, Array]


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A ciphertext on the way: what it holds at each point, its scale, and what each source of noise adds to it."""

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
    """Standard deviations, (sources, points): what each source adds to the result, to first order, where the series is
    evaluated at `points`, input at `level` and `input_scale`. Sources are independent."""
    series = _Series(model, level, input_scale, modulus_chain, np.asarray(points, dtype=np.float64))
    depth = polynomial_depth(len(coefficients) - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        rows = series.run(np.asarray(coefficients, dtype=np.float64), depth, output_scale)
    return np.stack(list(rows.values())) if rows else np.zeros((1, len(series.points)))


class _Series:
    def __init__(
        self, model: NoiseModel, level: int, input_scale: float, modulus_chain: Sequence[float], points: Array
    ) -> None:
        self._model, self._top, self._chain, self.points = model, level, modulus_chain, points
        self._basis = {1: Value(points, input_scale, {})}
        self._sources = 0

    def run(self, c: Array, depth: int, scale: float) -> Rows:
        # As in the core: series this short are summed from the basis, longer ones split.
        self._baby_limit = 1 << ((depth + 1) // 2)
        c = np.trim_zeros(c, "b")
        return self._evaluate(c, self._top - depth, scale).rows if len(c) > 1 else {}

    def _evaluate(self, c: Array, level: int, scale: float) -> Value:
        exact = np.asarray(chebyshev.chebval(self.points, c), dtype=np.float64)
        return Value(exact, scale, self._divided(self._sum(c, level, scale), level, scale))

    def _sum(self, c: Array, level: int, scale: float) -> Rows:
        """The rows of a series before its division by the prime above `level`."""
        c = np.trim_zeros(c, "b")
        if len(c) <= 1:
            return {}
        total = scale * self._chain[level + 1]
        if self._is_leaf(c, level):
            terms = [(self._of(i), float(c[i])) for i in range(1, len(c)) if c[i] != 0]
            return self._constants(terms, total)
        degree = len(c) - 1
        m = 1 << (degree.bit_length() - 1)
        quotient = np.concatenate([c[m : m + 1], 2 * c[m + 1 :]])
        remainder = c[:m].copy()
        remainder[m - np.arange(1, degree - m + 1)] -= c[m + 1 :]
        giant = self._of(m)
        if len(quotient) == 1:
            product = self._constants([(giant, float(quotient[0]))], total)
        else:
            factor = self._evaluate(quotient, level + 1, total / giant.scale)
            product = _product(factor, giant)
        return _sum(product, self._sum(remainder, level, scale))

    def _is_leaf(self, c: Array, level: int) -> bool:
        if len(c) > self._baby_limit and len(c) > 2:
            return False
        return all(c[i] == 0 or self._level_of(i) > level for i in range(1, len(c)))

    def _level_of(self, i: int) -> int:
        return self._top - (i - 1).bit_length()

    def _of(self, i: int) -> Value:
        """T_i = 2 T_a T_b - T_(a-b), at its level."""
        if i in self._basis:
            return self._basis[i]
        b = i // 2
        a = i - b
        left, right, level = self._of(a), self._of(b), self._level_of(i)
        whole = left.scale * right.scale
        rows = {source: 2 * row for source, row in _product(left, right).items()}
        if a != b:
            rows = _sum(rows, self._constants([(self._of(1), -1.0)], whole))
        scale = whole / self._chain[level + 1]
        exact = 2 * left.exact * right.exact - (1.0 if a == b else self.points)
        self._basis[i] = Value(exact, scale, self._divided(rows, level, scale))
        return self._basis[i]

    def _constants(self, terms: Sequence[tuple[Value, float]], total: float) -> Rows:
        """The sum of values times constants, each rounded at the scale that makes the product's `total`. Where that is
        below 1 a constant may vanish altogether: its own size then is the most that is lost."""
        rows: Rows = {}
        lost = np.zeros(len(self.points))
        for value, factor in terms:
            rows = _sum(rows, {source: factor * row for source, row in value.rows.items()})
            rounding = min(math.sqrt(UNIFORM) * value.scale / total, abs(factor))
            lost += (rounding * value.exact) ** 2
        return self._with_source(rows, np.sqrt(lost))

    def _divided(self, rows: Rows, level: int, scale: float) -> Rows:
        """After relinearisation and the division by the prime above `level`."""
        switched = self._model.switched(level + 1) / self._chain[level + 1]
        noise = math.hypot(self._model.rounding(), switched) / scale
        return self._with_source(rows, np.full(len(self.points), noise))

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
