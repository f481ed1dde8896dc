from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.activations.channel_labels import channel_labels, even_groups
from hetorch.compiler.activations.compensate_layers import FEWEST_SAMPLES, RIDGE, compensated, rescaled
from hetorch.ir.tensor_program import Affine, TensorProgram

Array = NDArray[np.float64]
random = np.random.default_rng(0)


def convolution(inside: int, outside: int, pixels: int) -> Affine:
    """A 1x1 convolution of (inside, pixels) with random weights."""
    weight = random.normal(size=(outside, inside))
    matrix = sparse.csr_array(np.kron(weight, np.eye(pixels)))
    return Affine(
        0, matrix, np.repeat(random.normal(size=outside), pixels), (outside, pixels), "conv", "conv"
    )


def labels(channels: int, pixels: int) -> NDArray[np.int64]:
    return np.repeat(np.arange(channels), pixels)


def test_what_each_channel_has_in_common_is_undone() -> None:
    """Channels that are stretched and shifted, each in its own way: gains and offsets undo it up to the ridge."""
    op = convolution(3, 4, 5)
    x = random.normal(size=(400, 15))
    target = np.asarray((op.matrix @ x.T).T + op.bias)
    stretch, shift = np.repeat([0.5, 1.5, 0.9], 5), np.repeat([1.0, -2.0, 0.3], 5)
    seen = x * stretch + shift
    mended = compensated(op, seen, target, labels(3, 5), labels(4, 5))
    before = np.asarray((op.matrix @ seen.T).T + op.bias) - target
    after = np.asarray((mended.matrix @ seen.T).T + mended.bias) - target
    assert np.sqrt(np.mean(after**2)) < 0.01 * np.sqrt(np.mean(before**2))
    # The convolution stays one: the same pattern, and one weight for all pixels of a pair of channels.
    assert np.array_equal(mended.matrix.toarray() != 0, op.matrix.toarray() != 0)
    blocks = mended.matrix.toarray().reshape(4, 5, 3, 5)
    assert np.ptp(np.einsum("apbp->abp", blocks), axis=2).max() < 1e-12


def test_gains_are_least_squares() -> None:
    """Gains of a dense row are numpy's least squares, with one more row for each gain that holds it at 1."""
    samples, size = 300, 6
    x = random.normal(size=(samples, size))
    op = Affine(0, sparse.csr_array(random.normal(size=(1, size))), np.zeros(1), (1,), "fc", "linear")
    target = x @ random.normal(size=(size, 1)) + 0.3 * random.normal(size=(samples, 1)) + 2.0
    mended = compensated(op, x, target, np.arange(size), np.arange(1))
    parts = x * op.matrix.toarray()
    # A little more ridge, for channels that do not vary, changes the fifth digit.
    centred = parts - parts.mean(axis=0)
    held = np.diag(np.sqrt(RIDGE * size / samples) * np.linalg.norm(centred, axis=0))
    rows, wanted = np.vstack([centred, held]), np.concatenate([target[:, 0] - target.mean(), np.diag(held)])
    gains = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    np.testing.assert_allclose(mended.matrix.toarray()[0], gains * op.matrix.toarray()[0], rtol=1e-4)
    np.testing.assert_allclose(mended.bias, target.mean() - parts.mean(axis=0) @ gains, rtol=1e-4)


def test_elements_may_lie_in_any_order() -> None:
    """Where the elements of a channel do not lie side by side, the same weights get the same gains."""
    op = convolution(3, 4, 5)
    x, target = random.normal(size=(100, 15)), random.normal(size=(100, 20))
    order, places = random.permutation(15), random.permutation(20)
    moved = sparse.csr_array(op.matrix[places][:, order])
    moved.sort_indices()
    inside, outside = labels(3, 5), labels(4, 5)
    mended = compensated(op, x, target, inside, outside)
    other = compensated(
        replace(op, matrix=moved, bias=op.bias[places]),
        x[:, order],
        target[:, places],
        inside[order],
        outside[places],
    )
    np.testing.assert_allclose(
        other.matrix.toarray(), mended.matrix.toarray()[places][:, order], rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(other.bias, mended.bias[places], rtol=1e-9)


def test_few_samples_and_moves_change_nothing() -> None:
    op = convolution(2, 3, 4)
    few = random.normal(size=(FEWEST_SAMPLES - 1, 8))
    target = np.asarray((op.matrix @ few.T).T) + 5.0
    assert compensated(op, few, target, labels(2, 4), labels(3, 4)) is op
    move = Affine(0, sparse.csr_array(np.eye(8)[::2]), np.zeros(4), (2, 2), "pool", "pool")
    many = random.normal(size=(100, 8))
    assert compensated(move, many, many[:, ::2] + 5.0, labels(2, 4), labels(2, 2)) is move


def test_rescaling_brings_each_channel_to_its_mean_and_spread() -> None:
    op = Affine(0, sparse.csr_array(np.eye(6)), np.zeros(6), (2, 3), "act", "scale")
    x = random.normal(size=(500, 6))
    target = x * np.repeat([2.0, 0.5], 3) + np.repeat([1.0, -1.0], 3)
    mended = rescaled(op, x, target, labels(2, 3))
    np.testing.assert_allclose((mended.matrix @ x.T).T + mended.bias, target, atol=0.02)


def test_pooled_elements_keep_their_channels() -> None:
    gather = sparse.csr_array(np.eye(12)[[0, 2, 4, 6, 8, 10]])
    pool = Affine(0, gather, np.zeros(6), (6, 1), "pool", "pool")
    dense = Affine(1, sparse.csr_array(np.ones((2, 6))), np.zeros(2), (2,), "fc", "linear")
    _, pooled, last = channel_labels(TensorProgram((3, 4), (pool, dense), 2, (2,)))
    assert pooled.tolist() == [0, 0, 1, 1, 2, 2] and last.tolist() == [0, 1]


@pytest.mark.parametrize("numbers", [[0, 0, 1], [2, 1, 1, 1]])
def test_uneven_channels_are_no_groups(numbers: list[int]) -> None:
    assert even_groups(np.array(numbers)) is None
    groups = even_groups(np.array([1, 0, 1, 0]))
    assert groups is not None
    assert groups.rows(np.array([[1.0, 2.0, 3.0, 4.0]])).tolist() == [[2.0, 4.0], [1.0, 3.0]]
