"""The diagonals that a map would take if none of its weights were zero: the report shows what sparsity saves."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.packing.diagonals import coordinates, find_indices
from hetorch.compiler.packing.placements import Placement, image_shape, is_image

MOST_WEIGHTS = 20_000_000
"""Largest number of weights of a dense pattern that is counted. Raised, the report of larger layers has the count, and
the count may take longer than the rest of the compilation."""


def count_dense(
    matrix: sparse.csr_array,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    source: Placement,
    result: Placement,
) -> int:
    """Return the number of diagonals of the dense map with the same placements; 0 if the map is too large to count.

    Between images, in the dense map every channel reads every channel at each pair of pixels that some channel uses;
    between other shapes, every element reads every element. A map whose placements suit its zeros may take more
    diagonals than this number.

    Args:
        matrix: the map.
        shapes: the shapes of its input and of its result.
        source: the placement of the input.
        result: the placement of the result.
    """
    pattern = dense_pattern(matrix, *shapes)
    if pattern is None:
        return 0
    if pattern.nnz == matrix.nnz:
        rows, columns = coordinates(matrix)
    else:
        rows, columns = coordinates(pattern)
    diagonals = find_indices(rows, columns, source, result)
    return 0 if diagonals is None else len(diagonals[0])


def dense_pattern(
    matrix: sparse.csr_array, source: tuple[int, ...], result: tuple[int, ...]
) -> sparse.csr_array | None:
    """Return the dense map from shape `source` to shape `result`, with ones as weights; None if it is too large."""
    rows, columns = matrix.shape
    if not (is_image(source) and is_image(result)):
        return sparse.csr_array(np.ones((rows, columns))) if rows * columns <= MOST_WEIGHTS else None
    (before, height, width), (after, out_height, out_width) = image_shape(source), image_shape(result)
    row, column = coordinates(matrix)
    pixels = (row % (out_height * out_width), column % (height * width))
    taps = sparse.csr_array((np.ones(len(row)), pixels), shape=(out_height * out_width, height * width))
    if taps.nnz * before * after > MOST_WEIGHTS:
        return None
    taps.data[:] = 1.0
    return sparse.csr_array(sparse.kron(np.ones((after, before)), taps, format="csr"))
