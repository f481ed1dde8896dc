"""Affine operations as sparse matrices, by index arithmetic on C-ordered tensors without a batch axis."""

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
    """CSR from coordinates; entries at one place add up; zeros are dropped."""
    matrix = sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return sparse.csr_array(matrix)


def selection(index: Indices, columns: int, values: Array | float = 1.0) -> sparse.csr_array:
    """Row i is values[i] at column index[i], or empty where index[i] is -1: any movement of elements."""
    flat = index.reshape(-1)
    rows = np.flatnonzero(flat >= 0)
    factors = np.broadcast_to(np.asarray(values, dtype=np.float64), flat.shape)
    return coordinate_matrix(rows, flat[rows], factors[rows], (flat.size, columns))


def windows(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output: Sequence[int],
) -> Indices:
    """The pixel of each window position: int64 (prod(output), prod(kernel)), flat over `size`, -1 in the padding.

    All are (height, width); window (y, x) begins at y * stride - padding and its taps are `dilation` apart.
    """
    axes = []
    for axis in (0, 1):
        starts = np.arange(output[axis], dtype=np.int64) * stride[axis] - padding[axis]
        taps = np.arange(kernel[axis], dtype=np.int64) * dilation[axis]
        at = starts[:, None] + taps[None, :]
        axes.append(np.where((at >= 0) & (at < size[axis]), at, -1))
    rows, columns = axes[0][:, None, :, None], axes[1][None, :, None, :]
    flat = np.where((rows >= 0) & (columns >= 0), rows * size[1] + columns, -1)
    return flat.reshape(math.prod(output), math.prod(kernel))


def convolution(
    weight: Array,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    output: Sequence[int],
) -> sparse.csr_array:
    """Cross-correlation as torch's conv2d: weight (out, in / groups, kh, kw), input (in, *size), (out, *output)."""
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
    """Average over windows, channel by channel. The divisor is `divisor`, or the number of taps, where a tap beyond
    the padded input never counts and one in the padding counts if `count_padding`."""
    pixels = windows(size, kernel, stride, padding, (1, 1), output)
    inside = pixels >= 0
    if divisor is not None:
        counts = np.full(len(pixels), divisor, dtype=np.float64)
    elif count_padding:
        # In ceil mode a window may reach beyond the padding: those taps do not count.
        padded = [size[axis] + 2 * padding[axis] for axis in (0, 1)]
        counts = (windows(padded, kernel, stride, (0, 0), (1, 1), output) >= 0).sum(axis=1).astype(np.float64)
    else:
        counts = inside.sum(axis=1).astype(np.float64)
    places, taps = np.nonzero(inside)
    plane = coordinate_matrix(
        places, pixels[places, taps], 1.0 / counts[places], (len(pixels), math.prod(size))
    )
    return sparse.csr_array(sparse.block_diag([plane] * channels, format="csr"))


def adaptive_average_pool(channels: int, size: Sequence[int], output: Sequence[int]) -> sparse.csr_array:
    """Torch's adaptive_avg_pool2d: window i of an axis covers floor(i n / m) up to ceil((i + 1) n / m)."""
    factors = []
    for axis in (0, 1):
        n, m = size[axis], output[axis]
        matrix = np.zeros((m, n))
        for i in range(m):
            start, stop = i * n // m, -(-(i + 1) * n // m)
            matrix[i, start:stop] = 1.0 / (stop - start)
        factors.append(matrix)
    plane = sparse.csr_array(sparse.kron(factors[0], factors[1], format="csr"))
    return sparse.csr_array(sparse.block_diag([plane] * channels, format="csr"))


def reduction(shape: tuple[int, ...], axes: Sequence[int], *, mean: bool) -> sparse.csr_array:
    """Sum or mean over `axes` of a tensor of `shape`."""
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    rows = np.broadcast_to(np.arange(math.prod(kept), dtype=np.int64).reshape(kept), shape).reshape(-1)
    factor = math.prod(kept) / math.prod(shape) if mean else 1.0
    columns = np.arange(math.prod(shape), dtype=np.int64)
    return coordinate_matrix(
        rows, columns, np.full(len(columns), factor), (math.prod(kept), math.prod(shape))
    )
