"""A value that is an affine map of registers, before it is computed: folds and biases change the map alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.ir.cleartext_network.sparse_map import Triplets

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AffineValue:
    """A value that is an affine map of `inputs` and has no register yet; its rows are its needed positions.

    `triplets`: column i * width + p is position p of input i. The other fields are those of MapStep, but `encoded` has
    a column for each input.
    """

    inputs: tuple[int, ...]
    triplets: Triplets
    bias: Array
    variance: Array
    encoded: Array

    def rows_at(self, index: Indices) -> AffineValue:
        """Return the map whose row i is row index[i] of this one."""
        order = np.argsort(self.triplets.rows, kind="stable")
        first = np.searchsorted(self.triplets.rows[order], np.arange(self.triplets.shape[0] + 1))
        counts = (first[1:] - first[:-1])[index]
        rows = np.repeat(np.arange(len(index)), counts)
        offsets = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        entries = order[np.repeat(first[:-1][index], counts) + offsets]
        triplets = self.triplets
        return AffineValue(
            self.inputs,
            Triplets(
                rows, triplets.columns[entries], triplets.values[entries], (len(index), triplets.shape[1])
            ),
            self.bias[index],
            self.variance[index],
            self.encoded[index],
        )

    def __add__(self, other: AffineValue) -> AffineValue:
        a, b = self.triplets, other.triplets
        rows, columns = np.concatenate([a.rows, b.rows]), np.concatenate([a.columns, b.columns])
        return AffineValue(
            self.inputs,
            Triplets(rows, columns, np.concatenate([a.values, b.values]), a.shape),
            self.bias + other.bias,
            self.variance + other.variance,
            self.encoded + other.encoded,
        )
