"""The channel of each element of each value of a program.

A value's first axis counts its channels. Elements that a map only gathers out of channels, as a pooling does, keep the
channels that they come from, whatever the shape says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.ir.tensor_program import Affine, TensorProgram

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Channels of equal size: `number`, the channel of each element, and `order`, the elements channel by channel."""

    number: Indices
    order: Indices
    count: int

    def rows(self, values: Array) -> Array:
        """Return (samples, elements) values as (channels, places x samples)."""
        by_element = np.ascontiguousarray(values.T)  # Maps leave their results so: this copies none of them.
        if np.any(self.order[1:] < self.order[:-1]):
            by_element = by_element[self.order]
        return by_element.reshape(self.count, -1)


def even_groups(labels: Indices) -> Groups | None:
    """Return the elements by their labels, or None if the channels are not equally large."""
    kinds, number, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if np.any(sizes != sizes[0]):
        return None
    return Groups(number, np.argsort(number, kind="stable"), len(kinds))


def channel_labels(program: TensorProgram) -> tuple[Indices, ...]:
    """Return the labels of each value, (size,); channels are numbered from 0."""
    labels = [_by_shape(program.input_shape)]
    for op in program.operations:
        own = _by_shape(op.shape)
        gathered = _gathered(op, labels[op.input]) if isinstance(op, Affine) else labels[op.reads[0]]
        many = int(own.max()) + 1 == len(own)
        labels.append(gathered if gathered is not None and (many or not isinstance(op, Affine)) else own)
    return tuple(labels)


def _by_shape(shape: tuple[int, ...]) -> Indices:
    size = math.prod(shape)
    count = shape[0] if shape else 1
    return np.repeat(np.arange(count, dtype=np.int64), size // count)


def _gathered(op: Affine, inside: Indices) -> Indices | None:
    """Return the channel that each result comes from, or None if one comes from several or from none."""
    if not np.any(inside) or np.any(np.diff(op.matrix.indptr) == 0):
        return None
    seen = inside[op.matrix.indices]
    starts = op.matrix.indptr[:-1]
    least, most = np.minimum.reduceat(seen, starts), np.maximum.reduceat(seen, starts)
    return np.asarray(least) if np.array_equal(least, most) else None
