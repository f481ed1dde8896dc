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

from hetorch.compiler.activations.channel_labels import Groups, even_groups
from hetorch.compiler.activations.gain_blocks import GainBlocks
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
"""Largest number of partial results. Samples are left out beyond it; a layer where FEWEST_SAMPLES have more gets one
gain for each output channel. Raised, gains take longer."""
TOGETHER = 1 << 18
"""Number of partial results, in float64, from which on output channels are solved one after the other. Raised, they
leave the processor's cache; lowered, numpy's own steps take longer than the numbers."""


def compensated(
    op: Affine,
    source: Array,
    target: Array,
    inside: Indices,
    outside: Indices,
    blocks: GainBlocks | None = None,
) -> Affine:
    """Return the map with the gains and offsets that bring its results nearest to `target`.

    Args:
        op: the map.
        source: what it reads now, (batch, n).
        target: its results in the model, (batch, m).
        inside: channel of each element that it reads.
        outside: channel of each element that it makes.
        blocks: the result of gain_blocks for its pattern; found here if left out.
    """
    if len(source) < FEWEST_SAMPLES or op.matrix.nnz <= op.matrix.shape[0]:
        return op  # A map that only moves elements is left alone: the error was compensated where they were made.
    groups = even_groups(outside)
    if groups is None:
        return op
    blocks = blocks or gain_blocks(op, inside, outside)
    with np.errstate(all="ignore"):
        gains, offsets = _solved(op, source, target, blocks, groups)
    if not (np.all(np.isfinite(gains)) and np.all(np.isfinite(offsets))):
        return op
    matrix = blocks.scaled(op.matrix, gains[groups.number])
    return replace(op, matrix=matrix, bias=op.bias + offsets[groups.number])


def rescaled(op: Affine, result: Array, target: Array, channels: Indices) -> Affine:
    """Return the map with a factor and an offset for each channel that bring `result`, what it makes, to `target`."""
    groups = even_groups(channels)
    if len(result) < FEWEST_SAMPLES or groups is None:
        return op
    values, truth = groups.rows(result), groups.rows(target)
    middle, goal = values.mean(axis=1), truth.mean(axis=1)
    apart = values - middle[:, None]
    spread = np.mean(apart**2, axis=1)
    apart *= truth - goal[:, None]
    common = np.mean(apart, axis=1)
    ridge = RIDGE / len(result)
    varies = spread > 1e-12 * max(float(np.max(spread)), 1e-300)
    factor = np.where(varies, (common + ridge * spread) / np.where(varies, spread * (1 + ridge), 1.0), 1.0)
    offset = goal - factor * middle
    if not (np.all(np.isfinite(factor)) and np.all(np.isfinite(offset))):
        return op
    own = factor[groups.number]
    matrix = GainBlocks.of(op.matrix, groups.number, 1).scaled(op.matrix, own)
    return replace(op, matrix=matrix, bias=own * op.bias + offset[groups.number])


def gain_blocks(op: Affine, inside: Indices, outside: Indices) -> GainBlocks:
    """Return the blocks of `op` that have gains of their own: one for each channel that it reads, or one for all.

    The arguments are those of compensated.
    """
    channels = int(inside.max()) + 1
    sums = op.matrix.shape[0] * channels * FEWEST_SAMPLES
    # One gain does where each channel reads itself alone.
    if channels > MOST_GAINS or sums > MOST_NUMBERS or _keeps_channels(op, inside, outside):
        return GainBlocks.of(op.matrix, np.zeros(len(inside), dtype=np.int64), 1)
    return GainBlocks.of(op.matrix, inside, channels)


def _keeps_channels(op: Affine, inside: Indices, outside: Indices) -> bool:
    sizes = np.diff(op.matrix.indptr)
    return np.array_equal(inside.take(op.matrix.indices), np.repeat(outside, sizes))


def _solved(
    op: Affine, source: Array, target: Array, blocks: GainBlocks, groups: Groups
) -> tuple[Array, Array]:
    """Return the gains (output channels, blocks) and the offsets (output channels,)."""
    count, all_samples = blocks.count, len(source)
    wanted_samples = max(ENOUGH_SAMPLES, ENOUGH_ROWS * count * groups.count // op.matrix.shape[0])
    most_samples = max(FEWEST_SAMPLES, MOST_NUMBERS // (op.matrix.shape[0] * count))
    some = slice(None, None, max(1, all_samples // min(wanted_samples, most_samples)))
    inputs, wanted = np.ascontiguousarray(source[some].T), target[some].T
    samples = inputs.shape[1]
    places = spread_places(
        groups.order.size // groups.count, -(-max(LEAST_ROWS, ROWS_A_GAIN * count) // samples)
    )
    chosen = groups.order.reshape(groups.count, -1)[:, places]
    gains, offsets = np.empty((groups.count, count)), np.empty(groups.count)
    together = max(1, TOGETHER // (len(places) * count * samples))
    for start in range(0, groups.count, together):
        channels = slice(start, start + together)
        parts = blocks.partial_results(op.matrix, chosen[channels], inputs)
        rows = chosen[channels].reshape(-1)
        results = (wanted[rows] - op.bias[rows, None]).reshape(len(parts), -1)
        gains[channels], offsets[channels] = _least_squares(parts, results, RIDGE * count / all_samples)
    return gains, offsets


def _least_squares(parts: Array, wanted: Array, ridge: float) -> tuple[Array, Array]:
    """Return the gains (channels, blocks) and offsets (channels,) with which the `parts` add up to `wanted`.

    Args:
        parts: (channels, blocks, rows); they are made to have a mean of 0.
        wanted: (channels, rows).
        ridge: the strength with which gains are held at 1, relative to the spread of the parts.
    """
    middle, goal = parts.mean(axis=2), wanted.mean(axis=1)
    parts -= middle[:, :, None]
    gram = parts @ parts.transpose(0, 2, 1)
    left = wanted - goal[:, None] - parts.sum(axis=1)
    right = (parts @ left[..., None])[..., 0]
    size = np.diagonal(gram, axis1=1, axis2=2)
    held = ridge * size + 1e-9 * np.max(size, axis=1, initial=1e-300)[:, None] + 1e-300
    gains = 1.0 + np.linalg.solve(gram + held[..., None] * np.eye(parts.shape[1]), right[..., None])[..., 0]
    return gains, goal - np.einsum("ij,ij->i", gains, middle)


def spread_places(size: int, count: int) -> Indices:
    """Return at most `count` numbers below `size`, sorted: all of them, or some that favour no row or column."""
    if count >= size:
        return np.arange(size)
    # Multiples of the golden ratio lie evenly without a period that a side of an image could share.
    return np.unique((np.arange(count) * ((5**0.5 - 1) / 2) % 1.0 * size).astype(np.int64))
