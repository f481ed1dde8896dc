"""The range that a channel can be expected to stay in on inputs that calibration did not see.

The largest distances from a channel's mean, one for each calibration input, are taken to fall off exponentially, as the
tails of most distributions do (Embrechts, Klüppelberg, Mikosch, "Modelling Extremal Events", 1997, section 3.4). The
mean of those above a threshold tells how fast, so the calibration inputs alone tell how far others go. An excursion of
one channel may happen to another as well: no channel falls off faster than the mean of all, relative to its range.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

BEYOND = 1e-4
"""Share of unseen inputs for which some channel of a tensor may leave its range on one side, by the exponential law.
Lowered, ranges are wider and polynomials less exact."""
SHIFT = 0.1
"""Share by which inputs to come may lie further from the mean than the law says: they seldom are quite like those of
calibration. Raised, ranges are wider and polynomials less exact. Chosen with BEYOND on 1,000 training inputs of
benchmarks/ordinary_networks that did not calibrate: with 0 one X-ray made a network with MaxPool explode, with 0.1 none
did."""
FEWEST_INPUTS = 16
"""Least number of inputs whose largest values tell how a tail falls off; of fewer inputs all values count."""
MOST_WIDENING = 4.0
"""Largest distance from the mean, in multiples of the largest one that was seen. Raised, ranges of few values are
wider."""
LEAST_SPREAD = 1e-6
"""Least distance from the mean, relative to the largest value of the tensor, from which a channel's values vary."""


def unseen_range(data: Array, channel: Indices, beyond: float = BEYOND) -> tuple[Array, Array]:
    """Return the low and the high end of the range of each element, (size,) each; equal within a channel.

    Args:
        data: values on the calibration inputs, (batch, size).
        channel: number of the channel of each element, (size,), in rising order.
        beyond: share of unseen inputs for which some channel may leave its range on one side.
    """
    starts = np.flatnonzero(np.r_[True, channel[1:] != channel[:-1]])
    sizes = np.diff(np.r_[starts, len(channel)])
    mean = np.add.reduceat(data.mean(axis=0), starts) / sizes
    least = LEAST_SPREAD * float(np.max(np.abs(data)))
    if len(data) >= FEWEST_INPUTS or np.any(sizes != sizes[0]):
        highest, lowest = np.maximum.reduceat(data, starts, axis=1), np.minimum.reduceat(data, starts, axis=1)
    else:
        highest = lowest = (
            data.reshape(len(data), len(starts), -1).transpose(0, 2, 1).reshape(-1, len(starts))
        )
    expected = beyond * len(data)
    above = reach(np.maximum(highest - mean, 0.0), expected, least)
    below = reach(np.maximum(mean - lowest, 0.0), expected, least)
    return (mean - (1 + SHIFT) * below)[channel], (mean + (1 + SHIFT) * above)[channel]


def unseen_outputs(reference: Array, error: float) -> tuple[float, float] | None:
    """Return the lowest and the highest result to expect on unseen inputs, of all outputs together.

    This is the range that a channel of these values would have, widened on both ends: a result beyond it is one of an
    input that is rarer than one in 1 / BEYOND and not like those of calibration, or it is wrong. All outputs are one
    channel, because two numbers for clients tell less of the calibration data than two for each output.

    Args:
        reference: the model's outputs on the calibration inputs, (batch, ...).
        error: the largest error of a result, in the unit of the outputs.

    Returns:
        None for fewer than FEWEST_INPUTS inputs, whose outputs do not tell how far others go.
    """
    if len(reference) < FEWEST_INPUTS:
        return None
    flat = reference.reshape(len(reference), -1).astype(np.float64)
    low, high = unseen_range(flat, np.zeros(flat.shape[1], dtype=np.int64))
    return float(low[0]) - error, float(high[0]) + error


def reach(distances: Array, expected: float, least: float) -> Array:
    """Return the distance that each channel stays within, (channels,).

    Args:
        distances: those that were seen, (observations, channels).
        expected: number of inputs, as many as were seen, for which some channel goes further.
        least: largest distance of a channel that does not vary, which keeps it.
    """
    count = len(distances)
    tail = min(max(2, math.isqrt(count)), count - 1)
    largest: Array = distances.max(axis=0)
    varies = largest > least
    if tail < 1 or not np.any(varies):
        return largest
    top = -np.partition(-distances, tail, axis=0)[: tail + 1]
    top.sort(axis=0)  # The sum of sorted numbers does not depend on how they were partitioned.
    excess = np.mean(top[1:], axis=0) - top[0]
    common = float(np.mean(excess[varies] / largest[varies]))
    falls = np.maximum(excess, common * largest)
    steps = math.log(max(1.0, np.count_nonzero(varies) / expected))
    return np.where(varies, np.minimum(largest + falls * steps, MOST_WIDENING * largest), largest)
