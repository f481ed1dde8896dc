"""The parts of an affine map that have gains of their own: its weights, by row and by block of columns.

Only the pattern of the weights counts, so one object serves all maps that a search makes from one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Integers = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class GainBlocks:
    """The weights of one pattern, in runs: those of row 0 in block 0, 1, ... `count` - 1, then those of row 1.

    `ends`: the number of weights before each run, and that of all, (rows * count + 1,). `order`: the places of the
    weights in CSR, run by run; None if they lie so already.
    """

    count: int
    ends: Integers
    order: Indices | None

    @classmethod
    def of(cls, matrix: sparse.csr_array, number: Indices, count: int) -> GainBlocks:
        """Return the blocks of the pattern of `matrix`; `number` is the block of each column, below `count`."""
        rows = matrix.shape[0]
        if count == 1:
            return cls(1, matrix.indptr, None)
        run = np.repeat(np.arange(rows) * count, np.diff(matrix.indptr)) + number.take(matrix.indices)
        order = None if np.all(run[1:] >= run[:-1]) else np.argsort(run, kind="stable")
        ends = np.zeros(rows * count + 1, dtype=matrix.indptr.dtype)
        np.cumsum(np.bincount(run, minlength=rows * count), out=ends[1:])
        return cls(count, ends, order)

    def scaled(self, matrix: sparse.csr_array, gains: Array) -> sparse.csr_array:
        """Return `matrix` with each weight times the gain of its row and block; `gains` is (rows, count)."""
        factors = np.repeat(gains.reshape(-1), np.diff(self.ends))
        if self.order is not None:
            factors[self.order] = factors.copy()
        return sparse.csr_array((matrix.data * factors, matrix.indices, matrix.indptr), shape=matrix.shape)

    def partial_results(self, matrix: sparse.csr_array, rows: Indices, inputs: Array) -> Array:
        """Return the part of each result that comes from each block, (channels, count, places x samples).

        Args:
            matrix: the map.
            rows: the results, (channels, places).
            inputs: what the map reads, (columns, samples).
        """
        runs = (rows[:, None, :] * self.count + np.arange(self.count)[:, None]).reshape(-1)
        begin, size = self.ends[runs], self.ends[runs + 1] - self.ends[runs]
        ends = np.zeros(len(runs) + 1, dtype=self.ends.dtype)
        np.cumsum(size, out=ends[1:])
        places = np.repeat(begin - ends[:-1], size)
        places += np.arange(len(places), dtype=places.dtype)
        if self.order is not None:
            places = self.order[places]
        shape = (len(runs), matrix.shape[1])
        parts = sparse.csr_array((matrix.data.take(places), matrix.indices.take(places), ends), shape=shape)
        return np.asarray(parts @ inputs).reshape(len(rows), self.count, -1)
