"""Sparse matrices times batches of numbers, as dense products: rows that read the same columns are taken together.

The rows of a convolution that belong to one pixel read the same window, and all rows of a dense layer read everything:
a block of rows is a small dense matrix times the gathered columns. Columns that are equal in every row are added up
first; so the pooling that the compiler fused into a convolution becomes a sum of few numbers again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

GATHERED = 1 << 17
"""Numbers that are gathered at a time, 1 MB. Raised, fewer calls of numpy, whose operands leave the cache."""
WORTH = 16
"""Multiplications that adding up equal columns must save for each column. Raised, it is done for fewer maps; it costs
a pass over the input."""


@dataclass(frozen=True, slots=True, eq=False)
class Triplets:
    """The non-zeros of a matrix of `shape`: `values`, each at `rows` and `columns`. Entries of one place add up."""

    rows: Indices
    columns: Indices
    values: Array
    shape: tuple[int, int]

    def summed(self) -> Triplets:
        """Return the same matrix with one entry for each place, ordered by row and column, without zeros."""
        key = self.rows * self.shape[1] + self.columns
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.zeros(0, np.int64)
        values = np.add.reduceat(self.values[order], first) if len(key) else np.zeros(0)
        places = key[first][values != 0]
        rows, columns = np.divmod(places, self.shape[1])
        return Triplets(rows, columns, values[values != 0], self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Blocks of equal size: block b maps the inputs `columns[b]` to the results begin + b * rows ... by `values[b]`.

    `columns`: (blocks, columns); `values`: (blocks, rows, columns).
    """

    begin: int
    columns: Indices
    values: Array

    def multiply(self, x: Array, into: Array) -> None:
        """Write the products with `x`, (inputs, samples), to their rows of `into`, (results, samples)."""
        count, rows, width = self.values.shape
        samples = x.shape[1]
        results = into[self.begin : self.begin + count * rows].reshape(count, rows, samples)
        if count == 1 and width == len(x) and np.array_equal(self.columns[0], np.arange(width)):
            np.matmul(self.values[0], x, out=results[0])
            return
        together = max(1, GATHERED // (samples * width))
        if rows == 1:
            together = max(1, GATHERED // samples)
        for start in range(0, count, together):
            part = slice(start, start + together)
            if rows == 1:
                self._add_up(x, part, results[part, 0])
            else:
                gathered = x.take(self.columns[part].reshape(-1), axis=0).reshape(-1, width, samples)
                np.matmul(self.values[part], gathered, out=results[part])

    def _add_up(self, x: Array, part: slice, into: Array) -> None:
        """Write the weighted sums of single rows, which are faster one column at a time."""
        weights = self.values[part, 0]
        alike = weights.shape[1] > 1 and bool(np.all(weights == weights[:, :1]))  # as in average pooling
        for k in range(weights.shape[1]):
            term = _rows(x, self.columns[part, k])
            if k == 0 and (alike or np.all(weights[:, 0] == 1.0)):
                into[...] = term
            elif k == 0:
                np.multiply(term, weights[:, :1], out=into)
            else:
                into += term if alike else term * weights[:, k, None]
        if alike and np.any(weights != 1.0):
            into *= weights[:, :1]


def _rows(x: Array, index: Indices) -> Array:
    """Return rows of `x`: a view if they follow each other."""
    if len(index) and index[-1] - index[0] == len(index) - 1 and np.all(np.diff(index) == 1):
        return x[index[0] : index[-1] + 1]
    return x.take(index, axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class SparseMap:
    """A matrix as blocks. Its results come in an order of its own: result i is row `rows[i]` of the matrix.

    `merged` is the map that adds up equal columns before, or None; its results are the inputs of the blocks.
    """

    rows: Indices
    blocks: tuple[Blocks, ...]
    merged: SparseMap | None = None

    @classmethod
    def of(cls, triplets: Triplets) -> SparseMap:
        """Return the map of a matrix."""
        whole = triplets.summed()
        if not len(whole.values):
            return cls(np.arange(whole.shape[0]), ())
        merged, fewer = _merge_columns(whole)
        blocks, order = _blocks(fewer)
        return cls(order, blocks, merged)

    def multiply(self, x: Array) -> Array:
        """Return the products with `x`, (inputs, samples), in the order of `rows`."""
        inputs = x if self.merged is None else self.merged.multiply(x)
        # Only the blocks' rows are written; rows without a weight come last.
        written = sum(block.values.shape[0] * block.values.shape[1] for block in self.blocks)
        result = np.empty((len(self.rows), x.shape[1]))
        result[written:] = 0.0
        for block in self.blocks:
            block.multiply(inputs, result)
        return result


def _merge_columns(whole: Triplets) -> tuple[SparseMap | None, Triplets]:
    """Return the sums of equal columns, and the matrix that reads them; None and the matrix itself if few are equal."""
    order = np.lexsort((whole.rows, whole.columns))
    first = _firsts(whole.columns[order])
    content = _mix(whole.rows[order]) * (whole.values[order].view(np.uint64) | np.uint64(1))
    content ^= whole.values[order].view(np.uint64) * _mix(whole.rows[order] + 1)
    column = whole.columns[order][first]
    counts = np.diff(np.r_[first, len(order)])
    keys = np.stack([_mixed_sums(content, first), _mixed_sums(_mix(content.view(np.int64)), first)])
    _, leader, group = np.unique(
        np.concatenate([keys, counts[None].astype(np.uint64)]), axis=1, return_index=True, return_inverse=True
    )
    group = group.reshape(-1)
    if len(whole.values) - counts[leader].sum() < WORTH * len(column):
        return None, whole
    sums = Triplets(group, column, np.ones(len(column)), (len(leader), whole.shape[1]))
    blocks, rows = _blocks(sums.summed())
    place = np.empty(len(rows), np.int64)
    place[rows] = np.arange(len(rows))
    number = np.full(whole.shape[1], -1)
    number[column[leader]] = place[np.arange(len(leader))]
    kept = number[whole.columns] >= 0
    fewer = Triplets(
        whole.rows[kept], number[whole.columns[kept]], whole.values[kept], (whole.shape[0], len(leader))
    )
    return SparseMap(rows, blocks), fewer.summed()


def _blocks(whole: Triplets) -> tuple[tuple[Blocks, ...], Indices]:
    """Return the blocks of a matrix (summed), and its rows in the order of their results; empty rows come last."""
    first = _firsts(whole.rows)
    row = whole.rows[first]
    widths = np.diff(np.r_[first, len(whole.rows)])
    mixed = _mix(whole.columns)
    keys = np.stack([_mixed_sums(mixed, first), widths.astype(np.uint64)])
    _, group = np.unique(keys, axis=1, return_inverse=True)
    group = group.reshape(-1)
    heights = np.bincount(group)
    # Rows ordered by the size of their block, then by block.
    order = np.lexsort((np.arange(len(row)), group, widths, heights[group]))
    sizes = np.stack([heights[group], widths])[:, order]
    change = np.flatnonzero(np.r_[True, np.any(sizes[:, 1:] != sizes[:, :-1], axis=0)])
    blocks = []
    for begin, end in zip(change, [*change[1:], len(order)], strict=True):
        height, width = int(sizes[0, begin]), int(sizes[1, begin])
        entries = first[order[begin:end]][:, None] + np.arange(width)
        columns = whole.columns[entries[::height]]
        blocks.append(Blocks(int(begin), columns, whole.values[entries].reshape(-1, height, width)))
    empty = np.setdiff1d(np.arange(whole.shape[0]), row)
    return tuple(blocks), np.concatenate([row[order], empty])


def _firsts(keys: Indices) -> Indices:
    """Return where each run of equal `keys` begins."""
    return np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])


def _mix(numbers: Indices) -> NDArray[np.uint64]:
    """Return a hash of each number (SplitMix64, Steele et al. 2014), so that sums of hashes tell sets apart."""
    z = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def _mixed_sums(hashes: NDArray[np.uint64], first: Indices) -> NDArray[np.uint64]:
    """Return the sum modulo 2^64 of each run of `hashes`."""
    return np.asarray(np.add.reduceat(hashes, first))
