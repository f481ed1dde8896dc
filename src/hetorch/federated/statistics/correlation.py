"""Covariance and correlation of several columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hetorch.errors import InputError
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
class CorrelationAnswer:
    """Figures of p columns over the records that lack none of them; NaN below `least_count`, and where a column is
    constant.

    Args:
        columns: their names, in the order of the matrices.
        count: the number of records.
        means: the means (p,).
        covariance: the unbiased covariance matrix (p, p).
        correlation: Pearson's correlation matrix (p, p).
    """

    columns: tuple[str, ...]
    count: float
    means: FloatArray
    covariance: FloatArray
    correlation: FloatArray


@dataclass(frozen=True)
class Correlation(Question):
    """Asks for the means, covariances and correlations of `among`, two or more columns, which need ranges."""

    among: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "among", tuple(self.among))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are asked about."""
        return tuple(self.among)

    @property
    def size(self) -> int:
        """The number of sums: one of records, p of values and p (p + 1) / 2 of products."""
        count = len(self.among)
        return 1 + count + count * (count + 1) // 2

    @property
    def touched(self) -> int:
        """The number of sums that a record changes: all."""
        return self.size

    @property
    def description(self) -> str:
        """The figures that the parties learn, in words."""
        return f"means, covariances and correlations of {', '.join(map(repr, self.among))}"

    def check(self, ranges: Ranges) -> None:
        """Raise InputError unless there are two or more columns, each with a range."""
        if len(self.among) < 2 or len(set(self.among)) != len(self.among):
            raise InputError(f"a correlation needs two or more different columns, got {self.among}")
        for column in self.among:
            check_range(column, ranges)

    def sums(self, values: Values, ranges: Ranges) -> FloatArray:
        """Return the number of records, and the sums of their values in [-1, 1] and of all products."""
        table = np.stack([scaled(values[column], ranges[column]) for column in self.among])
        products = table @ table.T
        return np.concatenate(
            [[table.shape[1]], table.sum(axis=1), products[np.triu_indices(len(self.among))]]
        )

    def answer(self, sums: Sums, ranges: Ranges) -> CorrelationAnswer:
        """Return the figures."""
        size = len(self.among)
        count = float(sums.values[0])
        if count < 2 or sums.too_few(count):
            nothing = np.full((size, size), np.nan)
            return CorrelationAnswer(
                self.columns,
                np.nan if sums.too_few(count) else count,
                np.full(size, np.nan),
                nothing,
                nothing.copy(),
            )
        low, high = np.array([ranges[column] for column in self.among]).T
        means = sums.values[1 : 1 + size] / count
        products = np.empty((size, size))
        products[np.triu_indices(size)] = sums.values[1 + size :]
        products.T[np.triu_indices(size)] = sums.values[1 + size :]
        covariance = (products - count * np.outer(means, means)) / (count - 1)
        half = (high - low) / 2
        variances = np.diag(covariance).copy()
        variances[variances <= 2 * sums.error / (count - 1)] = np.nan  # constant, as far as the sums tell
        correlation = np.clip(covariance / np.sqrt(np.outer(variances, variances)), -1, 1)
        return CorrelationAnswer(
            self.columns,
            count,
            (low + high) / 2 + half * means,
            covariance * np.outer(half, half),
            correlation,
        )
