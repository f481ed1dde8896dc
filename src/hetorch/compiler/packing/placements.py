"""Placements: the slots in which the elements of a tensor lie.

A placement is periodic: its period, a power of two, repeats over the slots, so that rotations act modulo the period.
An image (C, H, W) lies on a grid: pixel (y, x) at slot y * row + x * column of a block, channels in further blocks and,
where strided maps have left gaps, in the gaps (the multiplexed packing of Lee et al., ICML 2022).
The client packs the input in any order at no cost, so an input may also have phases (each residue class of pixels lies
in a block of its own, for a strided first layer) and skewed replicas (each repetition is rotated a little further, so
that it serves other diagonals).

A tensor that is larger than a ciphertext is cut: position p lies in slot p % slot_count of ciphertext p // slot_count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.distinct import distinct
from hetorch.ir.layout import UNUSED, Layout

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of an image in a block of slots.

    `pitch`: slots from one row of the grid to the next. `stride`: rows of the grid from one row of pixels to the next,
    and slots from one pixel of a row to the next. `block`: slots of the block, a power of two. `phases`: residue
    classes of pixels along each axis, each in a block of its own; 1 for one block.
    """

    pitch: int
    stride: tuple[int, int]
    block: int
    phases: int = 1


@dataclass(frozen=True, slots=True)
class RowPacking:
    """The way in which the replicas of an input share the rows of a map (hetorch.compiler.packing.row_packing).

    The products of a row lie in `input_period` / `stride` slots, `stride` apart, and folds add them up. `input_period`
    is the period of the input that the map reads; both are powers of two.
    """

    stride: int
    input_period: int


@dataclass(frozen=True, slots=True)
class Runs:
    """The way in which elements are spread over the replicas of an image (hetorch.compiler.packing.runs).

    They fill the first `length` slots of each `period`; both are powers of two.
    """

    length: int
    period: int


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """The slots of every element of a tensor.

    `positions`: int64 (replicas, n). Element i lies in slot positions % period of ciphertext positions // period, and
    repeats with the `period`. Only skewed placements have more than one replica. Only placements whose period is the
    slot count have more than one ciphertext (`parts`). No placement has both. `label` names the kind of placement for
    messages. `grid` is the grid of an image. With `row_packing`, or if it is `mixed`, unused slots may hold anything;
    otherwise they hold equal numbers, zero unless a polynomial made them. `runs` tells how elements are spread over
    replicas, if they are.
    """

    positions: Indices
    period: int
    label: str
    grid: Grid | None = None
    parts: int = 1
    row_packing: RowPacking | None = None
    runs: Runs | None = None
    mixed: bool = False

    @property
    def name(self) -> tuple[str, int, int, int]:
        """A key for dictionaries: the positions of a given tensor are a function of the label and the sizes."""
        return (self.label, self.positions.shape[1], self.period, self.parts)

    def layout(self, shape: tuple[int, ...], slot_count: int, batch: int = 1) -> Layout:
        """Return the slot map of a tensor of `shape`, with `batch` samples side by side in slot_count * batch slots."""
        index = np.full(self.parts * self.period, UNUSED, dtype=np.int32)
        index[self.positions] = np.arange(self.positions.shape[1], dtype=np.int32)
        return Layout.periodic(shape, slot_count * batch, index.reshape(self.parts, self.period), batch)


def power_of_two(n: int) -> int:
    """Return the least power of two >= n."""
    return 1 << max(n - 1, 0).bit_length()


def compact(size: int, factor: int = 1) -> Placement:
    """Place element i in slot i; the period is `factor` times the least one."""
    period = power_of_two(size) * factor
    return Placement(np.arange(size, dtype=np.int64)[None, :], period, f"compact/{period}")


def channels_last(shape: tuple[int, ...]) -> Placement:
    """Place all channels of an image's pixel side by side, and the pixels one after the other."""
    channels, height, width = image_shape(shape)
    room = power_of_two(channels)
    channel, pixel = np.divmod(np.arange(channels * height * width, dtype=np.int64), height * width)
    period = power_of_two(height * width) * room
    return Placement((pixel * room + channel)[None, :], period, f"channels last/{period}")


def on_grid(
    shape: tuple[int, ...],
    grid: Grid,
    gaps: tuple[int, int] = (1, 1),
    *,
    blocks_first: bool = False,
    interleaved: int = 1,
) -> Placement | None:
    """Place an image on a grid; return None if the image does not fit the grid.

    Interleaved channels lie at equal distances over the whole period, less than an image, and fill the gaps of one
    another: the difference of any two channels is a multiple of that distance.

    Args:
        shape: the shape of the image.
        grid: where its pixels lie.
        gaps: the places, (rows, columns), from one pixel to the next that channels fill; at most the stride.
        blocks_first: True if a channel lies beside the one before it in another block, False if in another gap.
        interleaved: the channels that begin in a block, a power of two; if it is not 1, there are no gaps to fill and
            no phases, and blocks are filled first.
    """
    channels, height, width = image_shape(shape)
    phases, (down, right) = grid.phases, grid.stride
    y, x = np.arange(height, dtype=np.int64), np.arange(width, dtype=np.int64)
    rows, columns = y // phases * down, x // phases * right
    if columns[-1] + gaps[1] > grid.pitch:
        return None
    if interleaved > 1:
        return _interleaved(channels, rows[:, None] * grid.pitch + columns, grid, interleaved)
    if (rows[-1] + gaps[0] - 1) * grid.pitch + columns[-1] + gaps[1] > grid.block:
        return None
    pixel = rows[:, None] * grid.pitch + columns[None, :]
    phase = (y % phases)[:, None] * phases + (x % phases)[None, :]
    channel = np.arange(channels, dtype=np.int64)
    blocks = power_of_two(-(-channels // (gaps[0] * gaps[1])))
    block, gap = np.divmod(channel, gaps[0] * gaps[1])
    if blocks_first:
        gap, block = np.divmod(channel, blocks)
    offset = block * (phases * phases) * grid.block + gap // gaps[1] * grid.pitch + gap % gaps[1]
    positions = offset[:, None, None] + (phase * grid.block + pixel)[None]
    label = _label(grid)
    label += f" phases {phases}" if phases > 1 else ""
    if gaps != (1, 1):
        label += f" gaps {gaps[0]}x{gaps[1]}" + (", blocks first" if blocks_first else "")
    period = power_of_two(blocks * phases * phases) * grid.block
    return Placement(positions.reshape(1, -1), period, label, grid)


def _interleaved(channels: int, pixel: Indices, grid: Grid, count: int) -> Placement | None:
    """Place `count` channels a block; return None if their pixels meet. `pixel`: the slots of the first channel."""
    distance = grid.block // count
    if distance == 0 or len(distinct(pixel % distance)) < pixel.size:
        return None
    blocks = power_of_two(-(-channels // count))
    share, block = np.divmod(np.arange(channels, dtype=np.int64), blocks)
    period = blocks * grid.block
    positions = (block * grid.block + share * distance)[:, None] + pixel.reshape(-1)
    return Placement(positions.reshape(1, -1) % period, period, f"{_label(grid)} interleaved {count}", grid)


def _label(grid: Grid) -> str:
    down, right = grid.stride
    return f"grid pitch {grid.pitch} stride {down}x{right} block {grid.block}"


def shifted(base: Placement, steps: int) -> Placement:
    """Move all elements of `base`, which is not skewed, by `steps` slots within its period."""
    if not steps:
        return base
    return replace(
        base, positions=(base.positions + steps) % base.period, label=f"{base.label} shifted {steps}"
    )


def skewed(base: Placement, step: int, slot_count: int) -> Placement:
    """Rotate replica i of `base` by i * step slots within its period, for each of the slot_count / period replicas."""
    replicas = np.arange(slot_count // base.period, dtype=np.int64)[:, None]
    turned = (base.positions[:1] + replicas * step) % base.period + replicas * base.period
    return Placement(turned, slot_count, f"{base.label} skewed {step}")


def unskewed(placement: Placement) -> Placement:
    """Return the placement of which `skewed` made a placement with several replicas."""
    replicas = len(placement.positions)
    label = placement.label.rsplit(" skewed ", 1)[0]
    return Placement(placement.positions[:1], placement.period // replicas, label, placement.grid)


def cut(placement: Placement, slot_count: int) -> Placement:
    """Cut a placement into ciphertexts of `slot_count` slots, and leave out the empty ones."""
    if placement.period <= slot_count:
        return placement
    part, slot = np.divmod(placement.positions, slot_count)
    used, number = np.unique(part, return_inverse=True)
    positions = number.reshape(part.shape) * slot_count + slot
    return replace(placement, positions=positions, period=slot_count, parts=len(used))


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (channels, height, width): axes before the last two are channels, and the pixels of two axes are a row."""
    height = shape[-2] if len(shape) >= 3 else 1
    return (math.prod(shape) // (height * shape[-1]), height, shape[-1])


def is_image(shape: tuple[int, ...]) -> bool:
    """Return True if a value of `shape` has channels and pixels, along one axis or more."""
    return len(shape) >= 2
