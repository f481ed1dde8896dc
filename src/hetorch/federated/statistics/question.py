"""What a question is: sums that each party computes of its records, and figures that follow from the sums of all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError

FloatArray = NDArray[np.float64]
Values = Mapping[str, FloatArray]
"""Columns of records (count,), by name."""
Ranges = Mapping[str, tuple[float, float]]
"""The smallest and the largest value of columns, by name; what is beyond is cut to them."""


@dataclass(frozen=True)
class Sums:
    """The sums of a question over all records.

    Args:
        values: the sums (size,).
        error: the most that a sum is wrong by, from rounding to fixed point. Sums of whole numbers are exact.
        least_count: groups of fewer records get no figures.
    """

    values: FloatArray
    error: float
    least_count: int

    def too_few(self, count: float) -> bool:
        """Return True if a group of `count` records is not empty, and too small to be shown."""
        return 0 < count < self.least_count


@dataclass(frozen=True)
class Question(ABC):
    """A question about records.

    Args:
        where: a column and a number: only records with this number in this column count.
    """

    where: tuple[str, float] | None = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns that it needs, but for that of `where`."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of its sums."""

    @property
    @abstractmethod
    def touched(self) -> int:
        """The number of its sums that one record changes, each by at most 1."""

    @property
    @abstractmethod
    def description(self) -> str:
        """The figures that the parties learn, in words."""

    @abstractmethod
    def check(self, ranges: Ranges) -> None:
        """Raise InputError if the question asks for nothing, or a range that it needs is missing."""

    @abstractmethod
    def sums(self, values: Values, ranges: Ranges) -> FloatArray:
        """Return the sums (size,) of these records, none of which lacks a value; InputError for values that the
        question cannot take."""

    @abstractmethod
    def answer(self, sums: Sums, ranges: Ranges) -> Any:
        """Return the figures of the sums over all parties."""

    def facts(self) -> dict[str, Any]:
        """Return what the parties agree on, as JSON can write it."""
        where = None if self.where is None else [self.where[0], float(self.where[1])]
        return {"kind": type(self).__name__, **asdict(self), "where": where}


def scaled(values: FloatArray, limits: tuple[float, float]) -> FloatArray:
    """Return values cut to a range and mapped to [-1, 1], so that a sum of them is at most the number of records."""
    low, high = limits
    result: FloatArray = (2 * np.clip(values, low, high) - (low + high)) / (high - low)
    return result


def check_range(name: str, ranges: Ranges) -> None:
    """Raise InputError unless a column has a range."""
    if name not in ranges:
        raise InputError(f"the column {name!r} needs a range in `ranges`: its values are cut to it")
