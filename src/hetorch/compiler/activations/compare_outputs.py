"""How far the outputs of an approximated network lie from the model's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


Shapes = Sequence[tuple[int, ...]]


def compare_outputs(outputs: Array, reference: Array, heads: Shapes = ()) -> tuple[float, float]:
    """Return the largest difference from `reference`, relative to its range, and the share of samples with the same
    argmax (1.0 for a single output). Outputs that are not finite give infinity and 0.0.

    Of a row of several outputs, whose shapes are `heads`, it is the least share of those that are a row of classes.
    """
    flat, truth = outputs.reshape(len(outputs), -1), reference.reshape(len(reference), -1)
    if not np.all(np.isfinite(flat)):
        return math.inf, 0.0
    error = float(np.max(np.abs(flat - truth))) / output_range(truth)
    places, begin = [], 0
    for shape in heads:
        places.append((slice(begin, begin + math.prod(shape)), len(shape) == 1))
        begin += math.prod(shape)
    shares = [
        float(np.mean(flat[:, place].argmax(axis=1) == truth[:, place].argmax(axis=1)))
        for place, is_row in places or [(slice(None), True)]
        if is_row
    ]
    return error, min(shares, default=1.0)


def output_range(reference: Array) -> float:
    """Return max - min over all outputs; for constant outputs their size, and never less than the smallest normal
    number."""
    span = float(np.max(reference) - np.min(reference))
    return span or float(np.max(np.abs(reference))) or float(np.finfo(np.float64).tiny)
