"""How many diagonals a map would take if none of its weights were zero: what sparsity saves, for the report."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.packing.diagonals import coordinates, find_indices
from hetorch.compiler.packing.placements import Placement, image_shape

MOST_WEIGHTS = 20_000_000
"""A larger dense pattern is not counted: it would take longer than the rest of the compilation."""


def count_dense(
    matrix: sparse.csr_array,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    source: Placement,
    result: Placement,
) -> int:
    """Diagonals of the dense map with the same placements; 0 if it is too large to be counted.

    Between images it is the map in which every channel reads every channel wherever one of them does; between other
    shapes all elements read all. A map whose placements suit its zeros may have more diagonals than a dense one would.
    """
    pattern = dense_pattern(matrix, *shapes)
    if pattern is None:
        return 0
    if pattern.nnz == matrix.nnz:
        rows, columns = coordinates(matrix)
    else:
        rows, columns = coordinates(pattern)
    found = find_indices(rows, columns, source, result)
    return 0 if found is None else len(found[0])


def dense_pattern(
    matrix: sparse.csr_array, source: tuple[int, ...], result: tuple[int, ...]
) -> sparse.csr_array | None:
    """Where the dense map has weights."""
    rows, columns = matrix.shape
    if len(source) != 3 or len(result) != 3:
        return sparse.csr_array(np.ones((rows, columns))) if rows * columns <= MOST_WEIGHTS else None
    (before, height, width), (after, out_height, out_width) = image_shape(source), image_shape(result)
    row, column = coordinates(matrix)
    pixels = (row % (out_height * out_width), column % (height * width))
    taps = sparse.csr_array((np.ones(len(row)), pixels), shape=(out_height * out_width, height * width))
    if taps.nnz * before * after > MOST_WEIGHTS:
        return None
    taps.data[:] = 1.0
    return sparse.csr_array(sparse.kron(np.ones((after, before)), taps, format="csr"))
