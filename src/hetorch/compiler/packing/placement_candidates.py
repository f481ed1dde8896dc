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
    on_grid,
    power_of_two,
    skewed,
)


def spatial_stride(matrix: sparse.csr_array, source: tuple[int, ...], result: tuple[int, ...]) -> int:
    """Return the distance, in input pixels, between the inputs of two neighbouring output pixels.

    It is measured at the middle of the first output channel, and is 1 for maps that are not from image to image.
    """
    (_, height, width), (_, out_height, out_width) = image_shape(source), image_shape(result)
    if len(source) != 3 or len(result) != 3 or out_width < 2:
        return 1

    def centre(y: int, x: int) -> float:
        row = y * out_width + x
        columns = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
        return float(np.mean(columns % width)) if len(columns) else 0.0

    y, x = out_height // 2, (out_width - 1) // 2
    step = round(centre(y, x + 1) - centre(y, x))
    return max(1, min(step, height, width))


def input_candidates(shape: tuple[int, ...], strides: set[int], slot_count: int) -> list[Placement]:
    """Return placements of the network's input that are not skewed; `strides`: the strides of the maps that read it."""
    placements = [compact(math.prod(shape))]
    if slot_count == 1:
        return _fitting(placements, slot_count)  # with one element a ciphertext, all placements are the same
    if len(shape) == 3:
        _, height, width = shape
        for phases in sorted({1} | {s for s in strides if s > 1}):
            rows, columns = -(-height // phases), -(-width // phases)
            for pitch in sorted({columns, power_of_two(columns)}):
                block = power_of_two((rows - 1) * pitch + columns)
                placement = on_grid(shape, Grid(pitch, 1, block, phases), in_gaps=False)
                if placement is not None:
                    placements.append(placement)
    return _fitting(placements, slot_count)


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
    shape: tuple[int, ...], source: Placement, stride: int, slot_count: int
) -> list[Placement]:
    """Return placements of the result of a map with spatial `stride` that reads a value placed at `source`."""
    size = math.prod(shape)
    if slot_count == 1:
        return _fitting([compact(size)], slot_count)
    placements = [compact(size, factor) for factor in (1, 2, 4)]
    if len(shape) == 3:
        channels, height, width = shape
        plane = power_of_two(height * width)
        placements.append(_must(on_grid(shape, Grid(width, 1, plane), in_gaps=False)))
        placements.append(channels_last(shape))
        grid = source.grid
        if grid is not None and channels:
            step, rest = divmod(grid.stride * stride, grid.phases)
            if rest == 0:
                for block in sorted({grid.block, power_of_two(height * step * grid.pitch), grid.block * 2}):
                    for in_gaps in (False, True):
                        placement = on_grid(shape, Grid(grid.pitch, step, block), in_gaps=in_gaps)
                        if placement is not None and (step > 1 or not in_gaps):
                            placements.append(placement)
    return _fitting(placements, slot_count)


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
