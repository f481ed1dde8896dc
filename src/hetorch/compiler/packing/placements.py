"""Where tensors may lie in the slots: the candidates among which choose_layouts chooses.

A placement is periodic: its period, a power of two, repeats over the slots, so that rotations act modulo the period.
An image (C, H, W) lies on a grid: pixel (y, x) at y * stride * pitch + x * stride of a block, channels in further
blocks and, where a strided convolution has left gaps, in the gaps (the multiplexed packing of Lee et al., ICML 2022).
For the client's input there is more freedom: phases (each residue class of pixels in its own block, for a strided first
layer) and skewed replicas (each repetition turned a little further, so that it serves other diagonals).

What is larger than a ciphertext is cut: position p lies in slot p % slot_count of ciphertext p // slot_count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.ir.layout import UNUSED, Layout

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grid:
    """How an image lies in a block of `block` slots (a power of two): `pitch` slots a row, `stride` between pixels,
    `phases` residue classes of pixels along each axis in blocks of their own (1: none)."""

    pitch: int
    stride: int
    block: int
    phases: int = 1


@dataclass(frozen=True, slots=True)
class Window:
    """The products of a row lie in `length` / `stride` slots, `stride` apart, and are added up by folds; both are
    powers of two, `length` the period of the input (hetorch.compiler.packing.row_packing)."""

    stride: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """`positions`, int64 (replicas, n): element i lies in slot positions % period of ciphertext positions // period, of
    `parts` ciphertexts, and repeats with the `period`. More than one replica only when they are skewed, and more than
    one ciphertext only when the period is all slots; never both. With a `window` the other slots may hold anything,
    without one they hold zero."""

    positions: Indices
    period: int
    label: str
    grid: Grid | None = None
    parts: int = 1
    window: Window | None = None

    @property
    def name(self) -> tuple[str, int, int, int]:
        """The same for placements of one tensor with the same positions: these follow from the label and sizes."""
        return (self.label, self.positions.shape[1], self.period, self.parts)

    def layout(self, shape: tuple[int, ...], slot_count: int, batch: int = 1) -> Layout:
        """As a slot map of a tensor of `shape`, with `batch` samples side by side in slot_count * batch slots."""
        index = np.full(self.parts * self.period, UNUSED, dtype=np.int32)
        index[self.positions] = np.arange(self.positions.shape[1], dtype=np.int32)
        return Layout.periodic(shape, slot_count * batch, index.reshape(self.parts, self.period), batch)


def power_of_two(n: int) -> int:
    """The least power of two >= n."""
    return 1 << max(n - 1, 0).bit_length()


def compact(size: int, factor: int = 1) -> Placement:
    """Element i in slot i; the period is `factor` times what is needed."""
    period = power_of_two(size) * factor
    return Placement(np.arange(size, dtype=np.int64)[None, :], period, f"compact/{period}")


def on_grid(shape: tuple[int, ...], grid: Grid, *, in_gaps: bool) -> Placement | None:
    """An image on a grid; with `in_gaps` channels fill the gaps of the stride first, then further blocks. None if the
    grid is too small for the image."""
    channels, height, width = image_shape(shape)
    y, x = np.arange(height, dtype=np.int64), np.arange(width, dtype=np.int64)
    phases, stride = grid.phases, grid.stride
    rows, columns = y // phases * stride, x // phases * stride
    if columns[-1] + stride > grid.pitch and columns[-1] >= grid.pitch:
        return None
    if (rows[-1] + (stride - 1 if in_gaps else 0)) * grid.pitch + columns[-1] >= grid.block:
        return None
    if in_gaps and columns[-1] + stride > grid.pitch:
        return None
    pixel = rows[:, None] * grid.pitch + columns[None, :]
    phase = (y % phases)[:, None] * phases + (x % phases)[None, :]
    channel = np.arange(channels, dtype=np.int64)
    gaps = stride * stride if in_gaps else 1
    gap = channel % gaps
    offset = channel // gaps * (phases * phases) * grid.block + gap // stride * grid.pitch + gap % stride
    positions = offset[:, None, None] + (phase * grid.block + pixel)[None]
    blocks = power_of_two(-(-channels // gaps) * phases * phases)
    label = f"grid{'+gaps' if in_gaps else ''} pitch {grid.pitch} stride {stride} block {grid.block} phases {phases}"
    return Placement(positions.reshape(1, -1), blocks * grid.block, label, grid)


def skewed(base: Placement, step: int, slot_count: int) -> Placement:
    """Replica i of `base`, of slot_count / period, turned by i * step slots within its period."""
    replicas = np.arange(slot_count // base.period, dtype=np.int64)[:, None]
    turned = (base.positions[:1] + replicas * step) % base.period + replicas * base.period
    return Placement(turned, slot_count, f"{base.label} skewed {step}")


def cut(placement: Placement, slot_count: int) -> Placement:
    """The same positions over ciphertexts of `slot_count` slots; those that would be empty are left out."""
    if placement.period <= slot_count:
        return placement
    part, slot = np.divmod(placement.positions, slot_count)
    used, number = np.unique(part, return_inverse=True)
    positions = number.reshape(part.shape) * slot_count + slot
    return replace(placement, positions=positions, period=slot_count, parts=len(used))


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(channels, height, width): axes in front are channels, a vector is one row."""
    height = shape[-2] if len(shape) >= 3 else 1
    return (math.prod(shape) // (height * shape[-1]), height, shape[-1])


def spatial_stride(matrix: sparse.csr_array, source: tuple[int, ...], result: tuple[int, ...]) -> int:
    """How many input pixels lie between what two neighbouring output pixels look at; 1 if that is no grid."""
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
    """For the network's input; `strides` are those of the maps that read it."""
    found = [compact(math.prod(shape))]
    if slot_count == 1:
        return _fitting(found, slot_count)  # a ciphertext an element: all placements are this one
    if len(shape) == 3:
        _, height, width = shape
        for phases in sorted({1} | {s for s in strides if s > 1}):
            rows, columns = -(-height // phases), -(-width // phases)
            for pitch in sorted({columns, power_of_two(columns)}):
                block = power_of_two((rows - 1) * pitch + columns)
                placement = on_grid(shape, Grid(pitch, 1, block, phases), in_gaps=False)
                if placement is not None:
                    found.append(placement)
    return _fitting(found, slot_count)


def result_candidates(
    shape: tuple[int, ...], source: Placement, stride: int, slot_count: int
) -> list[Placement]:
    """For the result of a map with spatial `stride` on a value placed at `source`."""
    size = math.prod(shape)
    if slot_count == 1:
        return _fitting([compact(size)], slot_count)
    found = [compact(size, factor) for factor in (1, 2, 4)]
    if len(shape) == 3:
        channels, height, width = shape
        plane = power_of_two(height * width)
        found.append(_must(on_grid(shape, Grid(width, 1, plane), in_gaps=False)))
        found.append(_channels_last(shape))
        grid = source.grid
        if grid is not None and channels:
            step, rest = divmod(grid.stride * stride, grid.phases)
            if rest == 0:
                for block in sorted({grid.block, power_of_two(height * step * grid.pitch), grid.block * 2}):
                    for in_gaps in (False, True):
                        placement = on_grid(shape, Grid(grid.pitch, step, block), in_gaps=in_gaps)
                        if placement is not None and (step > 1 or not in_gaps):
                            found.append(placement)
    return _fitting(found, slot_count)


def _channels_last(shape: tuple[int, ...]) -> Placement:
    channels, height, width = image_shape(shape)
    room = power_of_two(channels)
    channel, pixel = np.divmod(np.arange(channels * height * width, dtype=np.int64), height * width)
    period = power_of_two(height * width) * room
    return Placement((pixel * room + channel)[None, :], period, f"channels last/{period}")


def _fitting(found: list[Placement], slot_count: int) -> list[Placement]:
    """Cut to `slot_count`: those on one ciphertext or, if there is none, on at most twice as many as the least; each
    set of positions once, with its grid if one of its names has one."""
    pieces = [cut(placement, slot_count) for placement in found]
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
