"""The domain of an activation: the range of each channel, with the values that calibration showed there.

A range is the one that unseen inputs can be expected to stay in, never beyond what interval arithmetic allows, and
never where the function is undefined. It holds the range that the input had in training, if the model recorded it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.definition_limits import keep_defined
from hetorch.compiler.activations.fit_polynomial import SeriesMoments
from hetorch.compiler.activations.interval_bounds import Interval
from hetorch.compiler.activations.unseen_range import BEYOND, unseen_range
from hetorch.ir.tensor_program import Activation

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Range = tuple[Array, Array]
Moments = dict[float, SeriesMoments]

RANGE_MARGIN = 0.2
"""Share of its half width by which the range of the inputs themselves is widened on each side for interval arithmetic,
and by which inputs are shifted (stable_off_calibration). More is safer and costs precision."""
LEAST_WIDTH = 2.0**-8
"""Least half width of a channel's range, as a share of the widest channel's. All channels of a tensor carry
noise of one size, which a map to [-1, 1] divides by the half width: a scale with room for the noise of the narrowest
channel needs at most 8 bits more than one with room for the widest (noise.range_noise). Raised, scales have fewer bits,
and the polynomials of narrow channels are rougher."""
FEWEST = 16
"""Least number of calibration values for which each channel gets a range and a fit of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """The affine map that alone reads the result of an activation: its `matrix` (outputs, size), and `target`
    (batch, outputs), the result of that matrix in the model itself."""

    matrix: Array
    target: Array


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """Where an activation of `size` elements is approximated.

    low, high   range of each element, (size,); equal within a channel
    channel     number of the channel of each element, (size,)
    data        calibration values, (batch, size)
    escapes     as in Fit
    reader      the affine map that follows; None if something else, or more than one operation, reads the result
    importance  weight of the square of an error at each element, (size,); None for equal ones
    known       moments of the fits of series that were made, by stretch: in each channel's range, and in that of all
    """

    low: Array
    high: Array
    channel: Indices
    data: Array
    escapes: float
    reader: Reader | None = None
    importance: Array | None = None
    known: tuple[Moments, Moments] = field(default_factory=lambda: ({}, {}))

    @property
    def whole(self) -> tuple[float, float]:
        """The range over all elements."""
        return float(self.low.min()), float(self.high.max())


def domain_of(
    op: Activation,
    data: Array,
    bounds: Interval,
    *,
    only_bounds: bool = False,
    also: Array | None = None,
    beyond: float = BEYOND,
    reader: Reader | None = None,
    importance: Array | None = None,
) -> Domain:
    """Return the domain of an activation.

    Args:
        op: the activation.
        data: its input on the calibration inputs, (batch, size).
        bounds: limits of its input by interval arithmetic.
        only_bounds: take `bounds` as the range, whatever `data` shows.
        also: further values, (n, size), that the range must hold but that are not fitted.
        beyond: as for unseen_range.
        reader: goes into the domain as it is.
        importance: goes into the domain as it is.

    Raises:
        InfeasibleError: the function is not defined somewhere in the range that was seen.
    """
    channel = _channels(op.shape, len(data))
    low, high = _range(op, data, channel, bounds, only_bounds, also, beyond)
    first_low, first_high = _widened(*unseen_range(data[::2], channel, beyond))
    if op.trained is not None:
        trained_low = _grouped(op.trained.low, channel, np.minimum)
        trained_high = _grouped(op.trained.high, channel, np.maximum)
        low, high = np.minimum(low, trained_low), np.maximum(high, trained_high)
        first_low, first_high = np.minimum(first_low, trained_low), np.maximum(first_high, trained_high)
    escapes = 0.0
    if len(data) > 1:
        escapes = float(np.mean((data[1::2] < first_low) | (data[1::2] > first_high)))
    return Domain(low, high, channel, data, escapes, reader, importance)


def _range(
    op: Activation,
    data: Array,
    channel: Indices,
    bounds: Interval,
    only_bounds: bool,
    also: Array | None,
    beyond: float,
) -> Range:
    low, high = _extremes(data, channel)
    wide_low, wide_high = _widened(*unseen_range(data, channel, beyond))
    if also is not None:
        seen_low, seen_high = _extremes(also, channel)
        low, high = np.minimum(low, seen_low), np.maximum(high, seen_high)
        wide_low, wide_high = np.minimum(wide_low, low), np.maximum(wide_high, high)
    inside_low = _grouped(bounds.low, channel, np.minimum)
    inside_high = _grouped(bounds.high, channel, np.maximum)
    if not only_bounds:
        # Interval bounds hold for all inputs in the input's range: beyond them no margin is needed.
        inside_low = np.minimum(np.maximum(wide_low, inside_low), low)
        inside_high = np.maximum(np.minimum(wide_high, inside_high), high)
    proper = inside_high > inside_low
    widened = np.where(proper, inside_low, wide_low), np.where(proper, inside_high, wide_high)
    # Noise does not keep to bounds, so the least width comes after them.
    return keep_defined(op, (low, high), _wide_enough(*widened))


def _channels(shape: tuple[int, ...], batch: int) -> Indices:
    """Return the channel of each element: its index on the first axis, or 0 for all if there are too few values."""
    size = math.prod(shape)
    count = shape[0] if len(shape) > 0 else 1
    per_channel = size // count
    if batch * per_channel < FEWEST:
        return np.zeros(size, dtype=np.int64)
    return np.repeat(np.arange(count, dtype=np.int64), per_channel)


def _grouped(values: Array, channel: Indices, best: np.ufunc) -> Array:
    """Return for each element the best value in its channel."""
    starts = np.flatnonzero(np.r_[True, channel[1:] != channel[:-1]])
    return np.asarray(best.reduceat(values, starts))[channel]


def _extremes(data: Array, channel: Indices) -> Range:
    """Return the least and the largest value of each element's channel."""
    return _grouped(data.min(axis=0), channel, np.minimum), _grouped(data.max(axis=0), channel, np.maximum)


def _widened(low: Array, high: Array) -> Range:
    """Return the ranges, each with a width: a channel that never changes gets one of its own size."""
    proper = high > low
    return np.where(proper, low, low - np.abs(low)), np.where(proper, high, high + np.abs(high))


def _wide_enough(low: Array, high: Array) -> Range:
    """Return the ranges, those widened about their centres that are narrower than LEAST_WIDTH."""
    half = (high - low) / 2
    widest = float(np.max(half))
    least = widest * LEAST_WIDTH if widest > 0 else 1.0
    centre = (low + high) / 2
    narrow = half < least
    return np.where(narrow, centre - least, low), np.where(narrow, centre + least, high)
