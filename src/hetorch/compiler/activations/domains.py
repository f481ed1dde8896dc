"""The domain of an activation: the range of each channel, with the values that calibration showed there.

A range is the one seen on the calibration inputs with a margin, never beyond what interval arithmetic allows, and never
where the function is undefined. It holds the range that the input had in training, if the model recorded it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.definition_limits import keep_defined
from hetorch.compiler.activations.interval_bounds import Interval
from hetorch.ir.tensor_program import Activation

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Range = tuple[Array, Array]

RANGE_MARGIN = 0.2
"""Share of its half width by which a calibrated range is widened on each side, for inputs that calibration did not see.
More is safer and costs precision."""
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
    """

    low: Array
    high: Array
    channel: Indices
    data: Array
    escapes: float
    reader: Reader | None = None

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
    reader: Reader | None = None,
) -> Domain:
    """Return the domain of an activation.

    Args:
        op: the activation.
        data: its input on the calibration inputs, (batch, size).
        bounds: limits of its input by interval arithmetic.
        only_bounds: take `bounds` as the range, whatever `data` shows.
        also: further values, (n, size), that the range must hold but that are not fitted.
        reader: goes into the domain as it is.

    Raises:
        InfeasibleError: the function is not defined somewhere in the range that was seen.
    """
    channel = _channels(op.shape, len(data))
    low, high = _range(op, data, channel, bounds, only_bounds)
    if also is not None:
        every = np.concatenate([data, also])
        low, high = _range(op, every, _channels(op.shape, len(every)), bounds, only_bounds)
    first_low, first_high = _widened(*_spread(data[::2], channel))
    if op.trained is not None:
        trained_low = _grouped(op.trained.low, channel, np.minimum)
        trained_high = _grouped(op.trained.high, channel, np.maximum)
        low, high = np.minimum(low, trained_low), np.maximum(high, trained_high)
        first_low, first_high = np.minimum(first_low, trained_low), np.maximum(first_high, trained_high)
    escapes = 0.0
    if len(data) > 1:
        escapes = float(np.mean((data[1::2] < first_low) | (data[1::2] > first_high)))
    return Domain(low, high, channel, data, escapes, reader)


def _range(op: Activation, data: Array, channel: Indices, bounds: Interval, only_bounds: bool) -> Range:
    low, high = _spread(data, channel)
    wide_low, wide_high = _widened(low, high)
    inside_low = _grouped(bounds.low, channel, np.minimum)
    inside_high = _grouped(bounds.high, channel, np.maximum)
    if not only_bounds:
        # Interval bounds hold for all inputs in the input's range: beyond them no margin is needed.
        inside_low = np.minimum(np.maximum(wide_low, inside_low), low)
        inside_high = np.maximum(np.minimum(wide_high, inside_high), high)
    proper = inside_high > inside_low
    widened = np.where(proper, inside_low, wide_low), np.where(proper, inside_high, wide_high)
    # Noise does not keep to bounds, so the least width comes after them.
    return keep_defined(op, _extremes(data, channel), _wide_enough(*widened))


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


def _spread(data: Array, channel: Indices) -> Range:
    """Return the extremes of each channel, widened so that no channel's range is narrower, in its own standard
    deviations, than the widest one's: an excursion of one channel may happen to another as well."""
    low, high = _extremes(data, channel)
    counts = np.bincount(channel)
    mean = (np.bincount(channel, data.mean(axis=0)) / counts)[channel]
    power = (np.bincount(channel, (data**2).mean(axis=0)) / counts)[channel]
    deviation = np.sqrt(np.maximum(power - mean**2, 0.0))
    varies = deviation > 1e-6 * float(np.max(np.abs(data)))
    if not np.any(varies):
        return low, high
    below = float(np.max((mean - low)[varies] / deviation[varies]))
    above = float(np.max((high - mean)[varies] / deviation[varies]))
    # At most twice its own range: a channel with one spike is no measure for the others.
    width = high - low
    return (
        np.minimum(low, np.maximum(mean - below * deviation, low - width / 2)),
        np.maximum(high, np.minimum(mean + above * deviation, high + width / 2)),
    )


def _widened(low: Array, high: Array) -> Range:
    """Return the ranges with RANGE_MARGIN. A channel that never changes gets a range of its own size."""
    half = (high - low) / 2 * (1 + RANGE_MARGIN)
    half = np.where(half > 0, half, np.abs(low))
    centre = (low + high) / 2
    return centre - half, centre + half


def _wide_enough(low: Array, high: Array) -> Range:
    """Return the ranges, those widened about their centres that are narrower than LEAST_WIDTH."""
    half = (high - low) / 2
    widest = float(np.max(half))
    least = widest * LEAST_WIDTH if widest > 0 else 1.0
    centre = (low + high) / 2
    narrow = half < least
    return np.where(narrow, centre - least, low), np.where(narrow, centre + least, high)
