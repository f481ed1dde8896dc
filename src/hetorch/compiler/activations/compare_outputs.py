"""How far the outputs of an approximated network lie from the model's."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNSEEN = 1.25
"""Errors on inputs that calibration did not see, in multiples of those on the calibration inputs, for which layers were
compensated. Raised, more inputs keep their argmax and networks take more levels."""
MOST_MEETINGS = 1 << 24
"""Largest number of margins that meet errors; beyond, errors of some samples stand for all."""


def has_classes(output_shape: tuple[int, ...]) -> bool:
    """Return True if the outputs of one sample are a row of two or more numbers, whose argmax is taken for a class."""
    return len(output_shape) == 1 and output_shape[0] > 1


def compare_outputs(outputs: Array, reference: Array, *, classes: bool) -> tuple[float, float]:
    """Return the largest difference from `reference`, relative to its range, and the share of samples with the same
    argmax (1.0 without `classes`). Outputs that are not finite give infinity and 0.0."""
    flat, truth = outputs.reshape(len(outputs), -1), reference.reshape(len(reference), -1)
    if not np.all(np.isfinite(flat)):
        return math.inf, 0.0
    error = float(np.max(np.abs(flat - truth))) / output_range(truth)
    if not classes:
        return error, 1.0
    return error, float(np.mean(flat.argmax(axis=1) == truth.argmax(axis=1)))


def expected_agreement(outputs: Array, reference: Array) -> float:
    """Return the share of inputs, seen or not, for which the argmax can be expected to stay the same.

    Each sample's margins meet the errors of all samples, UNSEEN times as large. This counts how near samples come to a
    change, where the share of changes among few samples is mostly chance.
    """
    flat, truth = outputs.reshape(len(outputs), -1), reference.reshape(len(reference), -1)
    if not np.all(np.isfinite(flat)):
        return 0.0
    samples, classes = truth.shape
    errors = (flat - truth) * UNSEEN
    errors = errors[:: max(1, -(-samples * samples * classes // MOST_MEETINGS))]
    same = 0.0
    for row in truth:
        best = int(np.argmax(row))
        lead = (row[best] - row) - (errors - errors[:, best : best + 1])
        lead[:, best] = np.inf
        same += float(np.mean(np.min(lead, axis=1) > 0))
    return same / samples


def output_range(reference: Array) -> float:
    """Return max - min over all outputs; for constant outputs their size, and never less than the smallest normal
    number."""
    span = float(np.max(reference) - np.min(reference))
    return span or float(np.max(np.abs(reference))) or float(np.finfo(np.float64).tiny)
