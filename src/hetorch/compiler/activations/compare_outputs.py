"""How far the outputs of an approximated network lie from the model's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST_MEETINGS = 1 << 24
"""Largest number of margins that meet errors; beyond, errors of some samples stand for all."""


Shapes = Sequence[tuple[int, ...]]


def class_rows(output_shape: tuple[int, ...], heads: Shapes = ()) -> tuple[slice, ...]:
    """Return the places of the outputs of one sample that are a row of two or more numbers, whose argmax is taken for a
    class: that of the whole output, or those of the outputs of shapes `heads` that it is a row of."""
    rows, begin = [], 0
    for shape in heads or (output_shape,):
        end = begin + math.prod(shape)
        if len(shape) == 1 and shape[0] > 1:
            rows.append(slice(begin, end))
        begin = end
    return tuple(rows)


def compare_outputs(outputs: Array, reference: Array, *, rows: Sequence[slice]) -> tuple[float, float]:
    """Return the largest difference from `reference`, relative to its range, and the share of samples with the same
    argmax, the least one of the `rows` of class_rows (1.0 without any). Outputs that are not finite give infinity and
    0.0."""
    flat, truth = outputs.reshape(len(outputs), -1), reference.reshape(len(reference), -1)
    if not np.all(np.isfinite(flat)):
        return math.inf, 0.0
    error = float(np.max(np.abs(flat - truth))) / output_range(truth)
    shares = [float(np.mean(flat[:, row].argmax(axis=1) == truth[:, row].argmax(axis=1))) for row in rows]
    return error, min(shares, default=1.0)


def expected_agreement(
    outputs: Array, reference: Array, *, rows: Sequence[slice], excess: float = 0.0
) -> float:
    """Return the share of inputs, seen or not, for which the argmax can be expected to stay the same.

    Each sample's margins meet the errors of all samples, 1 + excess times as large (held_out_excess). This counts how
    near samples come to a change, where the share of changes among few samples is mostly chance. The least one of the
    `rows` of class_rows is returned, and 1.0 without any.
    """
    flat, truth = outputs.reshape(len(outputs), -1), reference.reshape(len(reference), -1)
    if not np.all(np.isfinite(flat)):
        return 0.0
    return min((_expected(flat[:, row], truth[:, row], excess) for row in rows), default=1.0)


def _expected(outputs: Array, reference: Array, excess: float) -> float:
    samples, classes = len(reference), reference.shape[1]
    errors = (outputs - reference) * (1 + excess)
    errors = errors[:: max(1, -(-samples * samples * classes // MOST_MEETINGS))]
    same = 0.0
    for row in reference:
        best = int(np.argmax(row))
        lead = (row[best] - row) - (errors - errors[:, best : best + 1])
        lead[:, best] = np.inf
        same += float(np.mean(np.min(lead, axis=1) > 0))
    return same / float(samples)


def output_range(reference: Array) -> float:
    """Return max - min over all outputs; for constant outputs their size, and never less than the smallest normal
    number."""
    span = float(np.max(reference) - np.min(reference))
    return span or float(np.max(np.abs(reference))) or float(np.finfo(np.float64).tiny)
