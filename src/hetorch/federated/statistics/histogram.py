"""Numbers of records in bins of a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hetorch.errors import InputError
from hetorch.federated.statistics.question import FloatArray, Question, Ranges, Sums, Values


@dataclass(frozen=True)
class HistogramAnswer:
    """Numbers of records; NaN where there are some, and fewer than `least_count`.

    Args:
        edges: the edges of the bins (bins + 1,).
        counts: the records of each bin (bins,): from its left edge on, up to its right one, which only the last bin
            has, as in numpy.histogram.
        below: the records below the first edge.
        above: those above the last one.
    """

    edges: FloatArray
    counts: FloatArray
    below: float
    above: float


@dataclass(frozen=True)
class Histogram(Question):
    """Asks for the numbers of records between `edges`, which ascend. A category is a bin: edges -0.5, 0.5, 1.5 count
    zeros and ones."""

    column: str
    edges: Sequence[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", tuple(float(edge) for edge in self.edges))

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def size(self) -> int:
        """One for each bin, and two for what lies outside."""
        return len(self.edges) + 1

    @property
    def touched(self) -> int:
        """One: a record is in one bin."""
        return 1

    @property
    def description(self) -> str:
        """The figures that the parties learn, in words."""
        return (
            f"numbers of records in {len(self.edges) - 1} bins of {self.column!r} from {self.edges[0]:g} to "
            f"{self.edges[-1]:g}, below and above"
        )

    def check(self, ranges: Ranges) -> None:
        """Raise InputError unless the edges are finite and ascend."""
        edges = np.array(self.edges)
        if len(edges) < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
            raise InputError(f"a histogram needs two or more edges that ascend, got {self.edges}")

    def sums(self, values: Values, ranges: Ranges) -> FloatArray:
        """Return the numbers of records below, in each bin, and above."""
        column, edges = values[self.column], np.array(self.edges)
        counts, _ = np.histogram(column, edges)
        return np.array([(column < edges[0]).sum(), *counts, (column > edges[-1]).sum()], dtype=np.float64)

    def answer(self, sums: Sums, ranges: Ranges) -> HistogramAnswer:
        """Return the numbers that are not too small."""
        shown = np.array([np.nan if sums.too_few(value) else value for value in sums.values])
        return HistogramAnswer(np.array(self.edges), shown[1:-1], float(shown[0]), float(shown[-1]))
