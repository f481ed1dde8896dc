"""Chains of layers on candidate placements: the lowered maps are executed on slots, and compared with the matrices."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import sparse

from hetorch.compiler.frontend.operations.matrices import average_pool, convolution
from hetorch.compiler.packing.lower import lower
from hetorch.compiler.packing.placement_candidates import (
    input_candidates,
    result_candidates,
    spatial_stride,
)
from hetorch.compiler.packing.placements import Placement, is_image

SLOTS = 1 << 11


def layer(data: st.DataObject, shape: tuple[int, ...]) -> tuple[sparse.csr_array, tuple[int, ...]]:
    """A convolution, a pool, or the selection of a pixel of each window, with another stride along each axis."""
    channels, *size = shape
    kind = data.draw(st.sampled_from(["convolution", "grouped", "average", "selection"]))
    kernel = [data.draw(st.integers(1, min(3, n))) for n in size]
    stride = [data.draw(st.integers(1, 2)) for _ in size]
    padding = [data.draw(st.integers(0, k // 2)) for k in kernel]
    output = tuple((n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, padding, kernel, stride, strict=True))
    assume(all(n > 0 for n in output))
    generator = np.random.default_rng(data.draw(st.integers(0, 1000)))
    if kind == "average":
        matrix = average_pool(
            channels, size, kernel, stride, padding, output, count_padding=True, divisor=None
        )
        return matrix, (channels, *output)
    groups = 1 if kind == "convolution" else channels
    outs = data.draw(st.integers(1, 6)) if kind == "convolution" else channels
    weight = generator.standard_normal((outs, channels // groups, *kernel))
    if kind == "selection":
        weight[...] = 0.0
        weight.reshape(outs, channels // groups, -1)[:, :, 0] = 1.0
    matrix = convolution(weight, size, stride, padding, [1] * len(size), groups, output)
    return matrix, (outs, *output)


def executed(matrix: sparse.csr_array, source: Placement, result: Placement, slots: np.ndarray) -> np.ndarray:
    """The ciphertexts (parts, slots) of the result, by the transform and the folds that lower gives."""
    lowered = lower(matrix, source, result, SLOTS)
    sums = lowered.transform.apply(list(slots))
    for steps in lowered.folds:
        sums = [part + np.roll(part, -steps) for part in sums]
    return np.stack(sums)


@given(st.data(), st.booleans(), st.integers(1, 4))
def test_layers_compute_what_their_matrices_do(data: st.DataObject, row: bool, channels: int) -> None:
    """Every slot holds what the layout says: the elements, and zero in unused slots, for a chain of layers."""
    size = (data.draw(st.integers(4, 20)),) if row else tuple(data.draw(st.integers(3, 8)) for _ in range(2))
    shape: tuple[int, ...] = (channels, *size)
    x = np.random.default_rng(0).standard_normal(int(np.prod(shape)))
    strides = {(1, 1), (2, 2)} if not row else {(1, 1)}
    source = data.draw(st.sampled_from(input_candidates(shape, strides, SLOTS)))
    slots = np.stack(source.layout((len(x),), SLOTS).pack(x))
    for _ in range(3):
        matrix, after = layer(data, shape)
        stride = spatial_stride(matrix, shape, after)
        result = data.draw(st.sampled_from(result_candidates(after, source, stride, SLOTS)))
        slots = executed(matrix, source, result, slots)
        x = matrix @ x
        np.testing.assert_allclose(slots, result.layout((len(x),), SLOTS).pack(x), atol=1e-9)
        source, shape = result, after


def kept(source: Placement, shape: tuple[int, ...], stride: tuple[int, int]) -> list[Placement]:
    candidates = result_candidates(shape, source, stride, 1 << 16)
    return [result for result in candidates if result.grid is not None and result.grid != source.grid]


def test_a_round_of_a_pool_reads_two_diagonals() -> None:
    """max(a, b) of neighbours: on the grid on which the image lies, their difference takes a rotation."""
    for axis, stride in ((2, (1, 2)), (1, (2, 1))):
        size = [16, 8, 8]
        size[axis] //= 2
        numbers = np.arange(16 * 64).reshape(16, 8, 8)
        first, second = (numbers.take(range(place, 8, 2), axis).reshape(-1) for place in (0, 1))
        rows = np.tile(np.arange(len(first)), 2)
        matrix = sparse.csr_array(
            (np.repeat([1.0, -1.0], len(first)), (rows, np.concatenate([first, second]))), shape=(512, 1024)
        )
        source = next(p for p in input_candidates((16, 8, 8), {(1, 1)}, 1 << 16) if p.grid is not None)
        assert spatial_stride(matrix, (16, 8, 8), tuple(size)) == stride
        counts = [
            lower(matrix, source, result, 1 << 16).diagonals for result in kept(source, tuple(size), stride)
        ]
        assert min(counts) == 2


def test_channels_move_into_gaps_with_a_diagonal_for_each_offset() -> None:
    """A channel goes a whole number of periods if the blocks are filled first: the 3 x 3 differences of a tap and a gap
    are all diagonals. Otherwise each of the 4 blocks of the result has its own."""
    matrix = average_pool(16, (8, 8), (2, 2), (2, 2), (0, 0), (4, 4), count_padding=True, divisor=None)
    source = next(p for p in input_candidates((16, 8, 8), {(1, 1)}, 1 << 16) if p.grid is not None)
    counts = {
        result.label: lower(matrix, source, result, 1 << 16).diagonals
        for result in kept(source, (16, 4, 4), (2, 2))
        if "gaps 2x2" in result.label and result.grid is not None and result.grid.block == 64
    }
    assert sorted(counts.values()) == [9, 36]
    assert min(counts, key=lambda label: counts[label]).endswith("blocks first")


def test_interleaved_channels_take_their_taps_each() -> None:
    """28 x 28 images, pooled: on a pitch of 30, two channels a block lie 512 slots apart in each other's gaps. Pool and
    convolution take 2 x 4 and 16 x 9 diagonals; with a channel in the gap beside the pixel, the latter 8 x 3 x 7."""
    pool = average_pool(16, (28, 28), (2, 2), (2, 2), (0, 0), (14, 14), count_padding=True, divisor=None)
    weight = np.ones((32, 16, 3, 3))
    layer = convolution(weight, (14, 14), (1, 1), (1, 1), (1, 1), 1, (14, 14))
    inputs = [p for p in input_candidates((1, 28, 28), {(1, 1)}, 1 << 14) if p.grid and p.grid.pitch == 30]
    (image,) = (
        p for p in result_candidates((16, 28, 28), inputs[0], (1, 1), 1 << 14) if p.grid == inputs[0].grid
    )
    counts = {}
    for pooled in kept(image, (16, 14, 14), (2, 2)):
        if pooled.period == 1 << 13:
            first = lower(pool, image, pooled, 1 << 14).diagonals
            for result in result_candidates((32, 14, 14), pooled, (1, 1), 1 << 14):
                if result.grid == pooled.grid and result.period == 1 << 14:
                    counts[pooled.label, result.label] = (
                        first,
                        lower(layer, pooled, result, 1 << 14).diagonals,
                    )
    interleaved = {labels: count for labels, count in counts.items() if "interleaved" in labels[0]}
    assert min(interleaved.values(), key=lambda pair: pair[1]) == (8, 144)
    beside = {labels: count for labels, count in counts.items() if "interleaved" not in "".join(labels)}
    assert min(convolution for _, convolution in beside.values()) == 168


def test_vectors_are_no_images() -> None:
    assert not is_image((9,)) and is_image((3, 9)) and is_image((3, 4, 5))
