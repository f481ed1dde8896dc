"""Number, sum, mean and variance of a column."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hetorch.federated.statistics.question import (
    FloatArray,
    Question,
    Ranges,
    Sums,
    Values,
    check_range,
    scaled,
)


@dataclass(frozen=True)
class MomentsAnswer:
    """Figures of a column over all parties; NaN for an empty group, and for one below `least_count`.

    Args:
        count: the number of records.
        sum: the sum of their values.
        mean: the mean.
        variance: the unbiased variance, with count - 1 below the line.
        mean_error: the most that the mean is wrong by, but for noise.
        variance_error: the same of the variance.
    """

    count: float
    sum: float
    mean: float
    variance: float
    mean_error: float
    variance_error: float

    @property
    def deviation(self) -> float:
        """The standard deviation."""
        return math.sqrt(self.variance)


@dataclass(frozen=True)
class Moments(Question):
    """Asks for the number, sum, mean and variance of `column`, which needs a range."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def size(self) -> int:
        """Three: the number, and the sums of the values and of their squares."""
        return 3

    @property
    def touched(self) -> int:
        """The number of sums that a record changes: all."""
        return 3

    @property
    def description(self) -> str:
        """The figures that the parties learn, in words."""
        return f"number, sum, mean and variance of {self.column!r}"

    def check(self, ranges: Ranges) -> None:
        """Raise InputError if the column has no range."""
        check_range(self.column, ranges)

    def sums(self, values: Values, ranges: Ranges) -> FloatArray:
        """Return the number of records, and the sums of their values in [-1, 1] and of the squares."""
        column = scaled(values[self.column], ranges[self.column])
        return np.array([len(column), column.sum(), (column**2).sum()])

    def answer(self, sums: Sums, ranges: Ranges) -> MomentsAnswer:
        """Return the figures.

        With S and Q the sums of n values in [-1, 1] and of their squares, each wrong by at most e, the variance is
        (Q - S^2 / n) / (n - 1), and Q - S^2 / n is wrong by at most e + 2 e + e^2 / n.
        """
        count, first, second = (float(value) for value in sums.values)
        if count <= 0 or sums.too_few(count):
            return MomentsAnswer(0.0 if count == 0 else math.nan, *[math.nan] * 5)
        low, high = ranges[self.column]
        middle, half = (low + high) / 2, (high - low) / 2
        squares = max(second - first**2 / count, 0.0)
        alone = count <= 1
        return MomentsAnswer(
            count=count,
            sum=middle * count + half * first,
            mean=middle + half * first / count,
            variance=math.nan if alone else half**2 * squares / (count - 1),
            mean_error=half * sums.error / count,
            variance_error=math.nan
            if alone
            else half**2 * (3 * sums.error + sums.error**2 / count) / (count - 1),
        )
