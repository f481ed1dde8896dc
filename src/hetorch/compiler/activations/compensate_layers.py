"""Affine maps that make up for the errors of the polynomials before them.

A polynomial in place of a function shifts and stretches the values of each channel, and the errors of several channels
reach the next layer together. Most of that is the same for all inputs, and so a layer can undo it: each pair of an
output and an input channel gets a gain, and each output channel an offset, which bring the results of the layer nearest
to those in the model on the calibration inputs. Sparsity, repeated weights and levels stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.activations.channel_labels import Groups, even_groups
from hetorch.ir.tensor_program import Affine

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

RIDGE = 0.4
"""Strength with which gains are held at 1, relative to the spread of a channel, times gains per calibration sample.
Raised, the errors of the calibration inputs shrink less and those of other inputs depend less on the sample."""
FEWEST_SAMPLES = 16
"""Least number of calibration samples with which layers are compensated; fewer would be fitted one by one."""
MOST_GAINS = 512
"""Largest number of gains of one output channel. A layer with more input channels gets one gain for each output
channel; more gains take longer."""
ENOUGH_SAMPLES, ENOUGH_ROWS = 64, 64
"""Least number of samples from which gains are solved, and of results for each gain; calibration may have fewer.
Raised, gains depend less on the sample and take longer and more memory."""
ROWS_A_GAIN, LEAST_ROWS = 256, 4096
"""Largest number of results, over all samples, from which the gains of an output channel are solved: that many for each
gain, or the second if it is larger. Raised, gains change hardly (neighbours in an image are alike) and take longer."""
MOST_NUMBERS = 1 << 24
"""Largest number of partial results, in float64. Samples are left out beyond it; a layer where FEWEST_SAMPLES have more
gets one gain for each output channel. Raised, gains take more memory."""


def compensated(op: Affine, source: Array, target: Array, inside: Indices, outside: Indices) -> Affine:
    """Return the map with the gains and offsets that bring its results nearest to `target`.

    Args:
        op: the map.
        source: what it reads now, (batch, n).
        target: its results in the model, (batch, m).
        inside: channel of each element that it reads.
        outside: channel of each element that it makes.
    """
    if len(source) < FEWEST_SAMPLES or op.matrix.nnz <= op.matrix.shape[0]:
        return op  # A map that only moves elements is left alone: the error was compensated where they were made.
    groups = even_groups(outside)
    if groups is None:
        return op
    with np.errstate(all="ignore"):
        blocks = _blocks(op, inside, outside)
        gains, offsets = _solved(op, source, target, blocks, groups)
    if not (np.all(np.isfinite(gains)) and np.all(np.isfinite(offsets))):
        return op
    coordinates = op.matrix.tocoo()
    row = groups.number[coordinates.row]
    data = coordinates.data * gains[row, blocks[coordinates.col]]
    matrix = sparse.csr_array((data, (coordinates.row, coordinates.col)), shape=coordinates.shape)
    return replace(op, matrix=matrix, bias=op.bias + offsets[groups.number])


def rescaled(op: Affine, result: Array, target: Array, channels: Indices) -> Affine:
    """Return the map with a factor and an offset for each channel that bring `result`, what it makes, to `target`."""
    groups = even_groups(channels)
    if len(result) < FEWEST_SAMPLES or groups is None:
        return op
    values, truth = groups.columns(result), groups.columns(target)
    middle, goal = values.mean(axis=0), truth.mean(axis=0)
    spread = np.mean((values - middle) ** 2, axis=0)
    common = np.mean((values - middle) * (truth - goal), axis=0)
    ridge = RIDGE / len(result)
    varies = spread > 1e-12 * max(float(np.max(spread)), 1e-300)
    factor = np.where(varies, (common + ridge * spread) / np.where(varies, spread * (1 + ridge), 1.0), 1.0)
    offset = goal - factor * middle
    if not (np.all(np.isfinite(factor)) and np.all(np.isfinite(offset))):
        return op
    own = factor[groups.number]
    matrix = sparse.csr_array(sparse.diags_array(own, format="csr") @ op.matrix)
    return replace(op, matrix=matrix, bias=own * op.bias + offset[groups.number])


def _blocks(op: Affine, inside: Indices, outside: Indices) -> Indices:
    """Return the number of the gain of each element that the map reads, among those of one output channel."""
    channels = int(inside.max()) + 1
    sums = op.matrix.shape[0] * channels * FEWEST_SAMPLES
    if channels > MOST_GAINS or sums > MOST_NUMBERS:
        return np.zeros(len(inside), dtype=np.int64)
    entries = op.matrix.tocoo()
    if np.array_equal(inside[entries.col], outside[entries.row]):
        return np.zeros(len(inside), dtype=np.int64)  # Each channel reads itself alone: one gain does.
    return inside


def _solved(op: Affine, source: Array, target: Array, blocks: Indices, groups: Groups) -> tuple[Array, Array]:
    """Return the gains (output channels, blocks) and the offsets (output channels,)."""
    count = int(blocks.max()) + 1
    wanted_samples = max(ENOUGH_SAMPLES, ENOUGH_ROWS * count * groups.count // op.matrix.shape[0])
    most_samples = max(FEWEST_SAMPLES, MOST_NUMBERS // (op.matrix.shape[0] * count))
    some = slice(None, None, max(1, len(source) // min(wanted_samples, most_samples)))
    all_samples = len(source)
    source, target = source[some], target[some]
    places = -(-max(LEAST_ROWS, ROWS_A_GAIN * count) // len(source))
    chosen = groups.order.reshape(groups.count, -1)[
        :, spread_places(groups.order.size // groups.count, places)
    ]
    parts = _partial_results(op.matrix[chosen.reshape(-1)], source, blocks, count)
    # (blocks, channels x places, samples) -> (channels, blocks, rows); a row is a place in a sample.
    rows = np.ascontiguousarray(parts.reshape(count, groups.count, -1).transpose(1, 0, 2))
    wanted = (target - op.bias).T[chosen].reshape(groups.count, -1)
    middle, goal = rows.mean(axis=2), wanted.mean(axis=1)
    rows -= middle[:, :, None]
    gram = rows @ rows.transpose(0, 2, 1)
    left = wanted - goal[:, None] - rows.sum(axis=1)
    right = (rows @ left[..., None])[..., 0]
    size = np.diagonal(gram, axis1=1, axis2=2)
    ridge = RIDGE * count / all_samples * size + 1e-9 * np.max(size, axis=1, initial=1e-300)[:, None] + 1e-300
    gains = 1.0 + np.linalg.solve(gram + ridge[..., None] * np.eye(count), right[..., None])[..., 0]
    return gains, goal - np.einsum("ij,ij->i", gains, middle)


def spread_places(size: int, count: int) -> Indices:
    """Return at most `count` numbers below `size`, sorted: all of them, or some that favour no row or column."""
    if count >= size:
        return np.arange(size)
    # Multiples of the golden ratio lie evenly without a period that a side of an image could share.
    return np.unique((np.arange(count) * ((5**0.5 - 1) / 2) % 1.0 * size).astype(np.int64))


def _partial_results(matrix: sparse.csr_array, source: Array, blocks: Indices, count: int) -> Array:
    """Return the part of each result that comes from each block, (count, m, samples)."""
    if count == len(blocks):
        element = np.argsort(blocks)
        return np.asarray(matrix.toarray().T[element][:, :, None] * source.T[element][:, None, :])
    parts = np.empty((count, matrix.shape[0], len(source)))
    columns, inputs = matrix.tocsc(), np.ascontiguousarray(source.T)
    for block in range(count):
        chosen = np.flatnonzero(blocks == block)
        parts[block] = columns[:, chosen] @ inputs[chosen]
    return parts
