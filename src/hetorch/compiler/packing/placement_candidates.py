"""The candidates of choose_layouts: placements for the network's input, and for the result of a map."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy import sparse

from hetorch.compiler.packing.placements import (
    Grid,
    Placement,
    channels_last,
    compact,
    cut,
    image_shape,
    is_image,
    on_grid,
    power_of_two,
    shifted,
    skewed,
)
from hetorch.distinct import distinct

INTERLEAVED = (2, 4)
"""Numbers of channels a block that are tried for images with gaps. Raised, layouts take fewer slots, and the search is
slower."""


def spatial_stride(
    matrix: sparse.csr_array, source: tuple[int, ...], result: tuple[int, ...]
) -> tuple[int, int]:
    """Return the distances, in rows and columns of the input, between the inputs of neighbouring output pixels.

    They are measured at the middle of the first output channel that has weights there, and are 1 for maps that are not
    from image to image.
    """
    if not (is_image(source) and is_image(result)):
        return (1, 1)
    (_, height, width), (_, out_height, out_width) = image_shape(source), image_shape(result)

    y, x = (out_height - 1) // 2, (out_width - 1) // 2
    weights = np.diff(matrix.indptr)[y * out_width + x :: out_height * out_width]
    first = int(np.argmax(weights > 0)) * out_height * out_width

    def centre(y: int, x: int) -> tuple[float, float]:
        row = first + y * out_width + x
        pixels = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]] % (height * width)
        return (
            (float(np.mean(pixels // width)), float(np.mean(pixels % width))) if len(pixels) else (0.0, 0.0)
        )

    here = centre(y, x)
    down = round(centre(y + 1, x)[0] - here[0]) if out_height > 1 else 1
    right = round(centre(y, x + 1)[1] - here[1]) if out_width > 1 else 1
    return max(1, min(down, height)), max(1, min(right, width))


def first_tap(
    matrix: sparse.csr_array, source: tuple[int, ...], result: tuple[int, ...], stride: tuple[int, int]
) -> tuple[int, int]:
    """Return how many rows above its own place, and columns to the left of it, an output pixel begins to read.

    It is the padding of a convolution, measured as `spatial_stride` is; 0 for maps that are not from image to image.
    """
    if not (is_image(source) and is_image(result)):
        return (0, 0)
    (_, height, width), (_, out_height, out_width) = image_shape(source), image_shape(result)
    y, x = (out_height - 1) // 2, (out_width - 1) // 2
    row = y * out_width + x
    pixels = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]] % (height * width)
    if not len(pixels):
        return (0, 0)
    up = y * stride[0] - int(np.min(pixels // width))
    left = x * stride[1] - int(np.min(pixels % width))
    return max(up, 0), max(left, 0)


def input_candidates(
    shape: tuple[int, ...],
    strides: set[tuple[int, int]],
    slot_count: int,
    first: tuple[int, int] = (0, 0),
) -> list[Placement]:
    """Return placements of the network's input that are not skewed.

    Args:
        shape: the shape of the input.
        strides: the strides of the maps that read it.
        slot_count: the number of positions of a ciphertext.
        first: the largest `first_tap` of these maps. The client shifts the image by as much, at no cost, so that all
            rotations go to one side, where giant steps can share a key.
    """
    placements = [compact(math.prod(shape))]
    if slot_count == 1:
        return _fitting(placements, slot_count)  # with one element a ciphertext, all placements are the same
    if is_image(shape):
        _, height, width = image_shape(shape)
        for phases in sorted({1} | {down for down, right in strides if down == right}):
            rows, columns = -(-height // phases), -(-width // phases)
            for pitch in sorted({columns, power_of_two(columns), *_interleaving_pitches(rows, columns)}):
                block = power_of_two((rows - 1) * pitch + columns)
                placement = on_grid(shape, Grid(pitch, (1, 1), block, phases))
                if placement is not None:
                    steps = first[0] * pitch + first[1] if phases == 1 else 0
                    placements.append(shifted(placement, steps))
    return _fitting(placements, slot_count)


def _interleaving_pitches(rows: int, columns: int) -> list[int]:
    """Return the least pitch of an image on which a pool leaves gaps that two interleaved images fill; none if the
    block of the image has no room for it."""
    block = power_of_two(rows * columns)
    y, x = np.arange(0, rows - 1, 2)[:, None], np.arange(0, columns - 1, 2)
    for pitch in range(columns, (block - columns) // max(rows - 1, 1) + 1):
        slots = (y * pitch + x) % (block // 2)
        if y.size > 1 and len(distinct(slots)) == slots.size:
            return [pitch]
    return []


def skewed_candidates(
    bases: Iterable[Placement], result_sizes: Iterable[int], slot_count: int
) -> list[Placement]:
    """Return skewed versions of the input placements `bases`, for maps whose results have `result_sizes` elements.

    Dense maps get steps of 1, 2 and 4 times the result's size over the number of replicas, convolutions steps of 1 to 3
    rows of pixels.
    """
    sizes = {power_of_two(size) for size in result_sizes}
    turned: list[Placement] = []
    for base in bases:
        replicas = slot_count // base.period
        if replicas < 2 or base.parts > 1:
            continue
        steps = {max(size * factor // replicas, 1) for size in sizes for factor in (1, 2, 4)}
        if base.grid is not None:
            steps |= {base.grid.pitch * rows for rows in (1, 2, 3)}
        turned += [skewed(base, step, slot_count) for step in sorted(steps) if step < base.period]
    return turned


def result_candidates(
    shape: tuple[int, ...], source: Placement, stride: tuple[int, int], slot_count: int
) -> list[Placement]:
    """Return placements of the result of a map with spatial `stride` that reads a value placed at `source`."""
    size = math.prod(shape)
    if slot_count == 1:
        return _fitting([compact(size)], slot_count)
    placements = [compact(size, factor) for factor in (1, 2, 4)]
    if is_image(shape):
        _, height, width = image_shape(shape)
        plane = power_of_two(height * width)
        placements.append(_must(on_grid(shape, Grid(width, (1, 1), plane))))
        placements.append(channels_last(shape))
        placements += _kept_grids(shape, source.grid, stride)
    return _fitting(placements, slot_count)


def _kept_grids(shape: tuple[int, ...], grid: Grid | None, stride: tuple[int, int]) -> list[Placement]:
    """Return placements in which the pixels of the result stay where they lie on the `grid` of the input.

    The channels lie in blocks, or fill all gaps between the pixels, or those between the columns or the rows.
    """
    if grid is None or any(own * step % grid.phases for own, step in zip(grid.stride, stride, strict=True)):
        return []
    down, right = (own * step // grid.phases for own, step in zip(grid.stride, stride, strict=True))
    _, height, _ = image_shape(shape)
    placements = []
    for block in sorted({grid.block, power_of_two(height * down * grid.pitch), grid.block * 2}):
        for gaps in sorted({(1, 1), (down, right), (1, right), (down, 1)}):
            for blocks_first in (False, True) if gaps != (1, 1) else (False,):
                kept = Grid(grid.pitch, (down, right), block)
                placements.append(on_grid(shape, kept, gaps, blocks_first=blocks_first))
        for count in INTERLEAVED:
            placements.append(on_grid(shape, Grid(grid.pitch, (down, right), block), interleaved=count))
    return [placement for placement in placements if placement is not None]


def _fitting(placements: list[Placement], slot_count: int) -> list[Placement]:
    """Cut placements to `slot_count`, and keep those that need few ciphertexts, each set of positions once.

    If some placement needs one ciphertext only, those that need more are dropped; otherwise those that need more than
    twice the least number. Among placements with equal positions, one that has a grid is preferred.
    """
    pieces = [cut(placement, slot_count) for placement in placements]
    least = min(placement.parts for placement in pieces)
    distinct: dict[tuple[int, int, bytes], Placement] = {}
    for placement in pieces:
        if placement.parts <= (1 if least == 1 else 2 * least):
            key = (placement.period, placement.parts, placement.positions.tobytes())
            if key not in distinct or distinct[key].grid is None:
                distinct[key] = placement
    return list(distinct.values())


def _must(placement: Placement | None) -> Placement:
    assert placement is not None
    return placement
