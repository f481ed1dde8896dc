"""Sparse matrices of affine operations, by index arithmetic on C-ordered tensors without a batch axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def coordinate_matrix(
    rows: Indices, columns: Indices, values: Array, shape: tuple[int, int]
) -> sparse.csr_array:
    """Return a CSR matrix from coordinates. Entries at one place are added, zeros are dropped."""
    matrix = sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return sparse.csr_array(matrix)


def selection(index: Indices, columns: int, values: Array | float = 1.0) -> sparse.csr_array:
    """Return the map whose row i is values[i] at column index[i], or empty where index[i] is -1."""
    flat = index.reshape(-1)
    rows = np.flatnonzero(flat >= 0)
    factors = np.broadcast_to(np.asarray(values, dtype=np.float64), flat.shape)
    return coordinate_matrix(rows, flat[rows], factors[rows], (flat.size, columns))


def difference(first: Indices, second: Indices, columns: int) -> sparse.csr_array:
    """Return the map whose row i is column first[i] minus column second[i], where -1 stands for zero."""
    rows = np.tile(np.arange(first.size, dtype=np.int64), 2)
    values = np.repeat([1.0, -1.0], first.size)
    places = np.concatenate([first.reshape(-1), second.reshape(-1)])
    inside = places >= 0
    return coordinate_matrix(rows[inside], places[inside], values[inside], (first.size, columns))


def windows(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output: Sequence[int],
) -> Indices:
    """Return the pixels of each window: int64 (prod(output), prod(kernel)), flat over `size`, -1 in the padding.

    Every argument has one number for each spatial axis. A window begins at its place * stride - padding, and its taps
    are `dilation` apart.
    """
    flat = np.zeros((1, 1), dtype=np.int64)
    for axis, length in enumerate(size):
        starts = np.arange(output[axis], dtype=np.int64) * stride[axis] - padding[axis]
        taps = np.arange(kernel[axis], dtype=np.int64) * dilation[axis]
        at = (starts[:, None] + taps[None, :])[None, :, None, :]
        before = flat[:, None, :, None]
        inside = (before >= 0) & (at >= 0) & (at < length)
        joined = np.where(inside, before * length + at, -1)
        flat = joined.reshape(flat.shape[0] * output[axis], flat.shape[1] * kernel[axis])
    return flat


def convolution(
    weight: Array,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    output: Sequence[int],
) -> sparse.csr_array:
    """Return the matrix of torch's conv1d, conv2d or conv3d (a cross-correlation).

    The weight is (out, in / groups, *kernel), the input (in, *size), the result (out, *output). The transpose of the
    matrix is the transposed convolution of the same weight.
    """
    out_channels, group_channels, *kernel = weight.shape
    pixels = windows(size, kernel, stride, padding, dilation, output)
    places, taps = pixels.shape
    outs = np.arange(out_channels, dtype=np.int64)
    first_channel = outs // (out_channels // groups) * group_channels
    # axes: output channel, output place, channel in group, tap
    channels = (first_channel[:, None] + np.arange(group_channels))[:, None, :, None]
    shape = (out_channels, places, group_channels, taps)
    columns = np.broadcast_to(channels * math.prod(size) + pixels[None, :, None, :], shape)
    rows = np.broadcast_to((outs[:, None] * places + np.arange(places))[:, :, None, None], shape)
    values = np.broadcast_to(weight.reshape(out_channels, 1, group_channels, taps), shape)
    inside = np.broadcast_to(pixels[None, :, None, :] >= 0, shape)
    matrix_shape = (out_channels * places, groups * group_channels * math.prod(size))
    return coordinate_matrix(rows[inside], columns[inside], values[inside], matrix_shape)


def average_pool(
    channels: int,
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    output: Sequence[int],
    *,
    count_padding: bool,
    divisor: int | None,
) -> sparse.csr_array:
    """Return the map to the averages over windows, channel by channel.

    Each sum is divided by `divisor`, or by the number of taps of its window. Taps in the padding are counted if
    `count_padding`, taps beyond the padded input never.
    """
    ones, none = [1] * len(size), [0] * len(size)
    pixels = windows(size, kernel, stride, padding, ones, output)
    inside = pixels >= 0
    if divisor is not None:
        counts = np.full(len(pixels), divisor, dtype=np.float64)
    elif count_padding:
        # In ceil mode a window may reach beyond the padding; those taps are not counted.
        padded = [length + 2 * pad for length, pad in zip(size, padding, strict=True)]
        counts = (windows(padded, kernel, stride, none, ones, output) >= 0).sum(axis=1).astype(np.float64)
    else:
        counts = inside.sum(axis=1).astype(np.float64)
    places, taps = np.nonzero(inside)
    plane = coordinate_matrix(
        places, pixels[places, taps], 1.0 / counts[places], (len(pixels), math.prod(size))
    )
    return repeated(plane, channels)


def adaptive_average_pool(channels: int, size: Sequence[int], output: Sequence[int]) -> sparse.csr_array:
    """Return the matrix of adaptive_avg_pool, where window i covers floor(i n / m) up to ceil((i + 1) n / m)."""
    plane = sparse.csr_array(np.ones((1, 1)))
    for n, m in zip(size, output, strict=True):
        matrix = np.zeros((m, n))
        for i in range(m):
            start, stop = i * n // m, -(-(i + 1) * n // m)
            matrix[i, start:stop] = 1.0 / (stop - start)
        plane = sparse.csr_array(sparse.kron(plane, sparse.csr_array(matrix), format="csr"))
    return repeated(plane, channels)


def repeated(block: sparse.csr_array, count: int) -> sparse.csr_array:
    """Return the map that applies `block` to each of `count` parts that lie one after the other."""
    if count == 1:
        return block
    return sparse.csr_array(sparse.kron(sparse.eye_array(count), block, format="csr"))


def diagonal(values: Array) -> sparse.csr_array:
    """Return the map that multiplies element i by values[i]."""
    return sparse.csr_array(sparse.diags_array(np.asarray(values, dtype=np.float64), format="csr"))


def dense(weight: Array) -> sparse.csr_array:
    """Return a CSR matrix of a weight; one that is mostly non-zero takes little more memory than its result."""
    if 2 * np.count_nonzero(weight) <= weight.size:
        return sparse.csr_array(weight)
    # All entries first, then the zeros are dropped in place: scipy's conversion, which goes through coordinates,
    # takes four times the memory.
    rows, columns = weight.shape
    index = np.dtype(np.int32 if weight.size < 1 << 31 else np.int64)
    starts = np.arange(0, weight.size + 1, columns, dtype=index)
    values: Array = weight.reshape(-1).astype(np.float64)
    matrix: sparse.csr_array = sparse.csr_array(
        (values, np.tile(np.arange(columns, dtype=index), rows), starts), shape=(rows, columns)
    )
    matrix.eliminate_zeros()
    return matrix


def empty(rows: int, columns: int) -> sparse.csr_array:
    """Return the map to zero; with a bias it is a constant."""
    return sparse.csr_array((rows, columns), dtype=np.float64)


def contraction(
    space: Sequence[int], kept: int, index: Indices, values: Array, columns: int
) -> sparse.csr_array:
    """Return the map to sums of values * x[index] over the axes of `space` after the first `kept`.

    `index` and `values` have the shape of `space`; there is a row for each index of the kept axes.
    """
    rows = math.prod(space[:kept])
    terms = math.prod(space[kept:])
    return coordinate_matrix(
        np.repeat(np.arange(rows, dtype=np.int64), terms),
        index.reshape(-1),
        values.reshape(-1),
        (rows, columns),
    )


def reduction(shape: tuple[int, ...], axes: Sequence[int], *, mean: bool) -> sparse.csr_array:
    """Return the map to the sums or means over `axes` of a tensor of `shape`."""
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    rows = np.broadcast_to(np.arange(math.prod(kept), dtype=np.int64).reshape(kept), shape).reshape(-1)
    factor = math.prod(kept) / math.prod(shape) if mean else 1.0
    columns = np.arange(math.prod(shape), dtype=np.int64)
    return coordinate_matrix(
        rows, columns, np.full(len(columns), factor), (math.prod(kept), math.prod(shape))
    )
