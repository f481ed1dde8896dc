"""An activation beside what stands in for it, over its range: the largest error there, and curves to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.domains import Domain
from hetorch.compiler.activations.replacement import Replacement
from hetorch.distinct import spread
from hetorch.plan.report import ChannelCurve

Array = NDArray[np.float64]

MEASURED_POINTS = 129
"""Largest number of points, evenly over the range of each element, at which the error of a replacement is measured."""
MEASURED_NUMBERS = 1 << 20
"""Largest number of these points over all elements; a large tensor has fewer points an element, but FEWEST_POINTS."""
FEWEST_POINTS = 17
"""Least number of these points for an element."""
DRAWN_CHANNELS, DRAWN_POINTS = 6, 65
"""Largest number of channels whose curves a plan keeps, and of points of each. Raised, plans have longer manifests."""
BARS, COUNTED = 40, 1 << 16
"""Bars of the histogram of calibration values, and about the largest number of values that it counts."""
DIGITS = 5
"""Digits of the numbers in curves, histograms and ranges of channels, which nothing computes with. Raised, plans have
longer manifests."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """The `function` and its `replacement` at points evenly over the range of each element, (points, size) each."""

    function: Array
    replacement: Array

    @property
    def error(self) -> float:
        """The largest difference."""
        return float(np.max(np.abs(self.replacement - self.function)))

    def curves(self, domain: Domain) -> tuple[ChannelCurve, ...]:
        """Return the curves of the narrowest channel, of the widest, and of some between; none if numbers overflow."""
        elements = np.unique(domain.channel, return_index=True)[1]
        by_width = elements[np.argsort((domain.high - domain.low)[elements], kind="stable")]
        some = spread(len(by_width), DRAWN_CHANNELS)
        step = max(1, (len(self.function) - 1) // (DRAWN_POINTS - 1))
        curves = []
        for element in by_width[some]:
            function, replacement = self.function[::step, element], self.replacement[::step, element]
            if np.all(np.isfinite(function)) and np.all(np.isfinite(replacement)):
                low, high = float(domain.low[element]), float(domain.high[element])
                curves.append(ChannelCurve(low, high, _short(function), _short(replacement)))
        return tuple(curves)


def points_on_range(out: Replacement, domain: Domain) -> Points:
    """Return the function and what `out` makes, by running its operations."""
    count = min(MEASURED_POINTS, max(FEWEST_POINTS, MEASURED_NUMBERS // len(domain.low)))
    share = np.linspace(0.0, 1.0, count)[:, None]
    x = domain.low + share * (domain.high - domain.low)
    return Points(out.op.apply(x), out.run(x))


def channel_ranges(domain: Domain) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the low and the high ends of the ranges of all channels."""
    elements = np.unique(domain.channel, return_index=True)[1]
    return _short(domain.low[elements]), _short(domain.high[elements])


def histogram(domain: Domain) -> tuple[float, ...]:
    """Return the shares of the calibration values in equal parts of the whole range."""
    values = domain.data.reshape(-1)
    values = values[:: max(1, values.size // COUNTED)]
    counts = np.histogram(values, BARS, domain.whole)[0]
    return _short(counts / max(values.size, 1))


def _short(numbers: Array) -> tuple[float, ...]:
    return tuple(float(f"{number:.{DIGITS}g}") for number in numbers)
