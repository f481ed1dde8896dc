"""Max pools, axis by axis: each round leaves an image, and compares each pixel with one pixel beside it.

The maximum over a window is the maximum over its rows of the maxima over their pixels, and the windows of a round may
overlap. With the largest of h neighbours at every pixel, a window of up to 2 h pixels is the larger of two of them. So
the pixels stay on the grid on which the image lies, and a round takes two diagonals and no new layout.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.frontend.operations import matrices
from hetorch.compiler.frontend.operations.builder import Builder, Handler, Result
from hetorch.compiler.frontend.operations.call import Call, Shape, Symbol
from hetorch.compiler.frontend.operations.maximum import larger, largest
from hetorch.ir.tensor_program import Activation

Indices = NDArray[np.int64]


def _max_pool(builder: Builder, call: Call) -> Result:
    source = call.symbol("self")
    axes = int(call.op.replace("_with_indices", "")[-2])
    kernel = call.integers("kernel_size", axes, 1)
    stride = call.integers("stride", axes, 1) if call["stride"] else kernel
    padding, dilation = call.integers("padding", axes, 0), call.integers("dilation", axes, 1)
    shape = call.shape or call.shapes[0]
    windows = [
        matrices.windows([length], [width], [step], [pad], [apart], [out])
        for length, width, step, pad, apart, out in zip(
            source.shape[-axes:], kernel, stride, padding, dilation, shape[-axes:], strict=True
        )
    ]
    pooled = _pooled(builder, call, source, windows, shape)
    return (pooled, None) if call.op.endswith("indices") else pooled


def _adaptive_max_pool(builder: Builder, call: Call) -> Result:
    source = call.symbol("self")
    axes = int(call.op[-2])
    shape = call.shape or call.shapes[0]
    windows = []
    for n, m in zip(source.shape[-axes:], shape[-axes:], strict=True):
        starts = np.arange(m) * n // m
        stops = -(-(np.arange(m) + 1) * n // m)
        taps = starts[:, None] + np.arange(int((stops - starts).max()))
        windows.append(np.where(taps < stops[:, None], taps, -1))
    pooled = _pooled(builder, call, source, windows, shape)
    return pooled if call.shape else (pooled, None)


def _pooled(builder: Builder, call: Call, source: Symbol, windows: Sequence[Indices], shape: Shape) -> Symbol:
    """Return the largest elements of `source` over windows.

    Args:
        builder: takes the operations.
        call: the call of the pool.
        source: its input.
        windows: for each pooled axis, the pixels along it that each pixel of the result reads, (pixels, taps), in
            ascending order; -1 in the padding.
        shape: the shape of the result.
    """
    counts = [window.shape[1] for window in windows]
    taps = math.prod(counts)
    before = _rectified(builder, call, source, taps)
    # The last axis takes the zero; it is one on which that takes no round more, if there is one.
    zero = int(before is not None)
    order = sorted(
        range(len(windows)), key=lambda axis: _rounds(counts[axis] + zero) - _rounds(counts[axis])
    )[::-1]
    rounds = sum(map(_rounds, counts)) + _rounds(counts[order[-1]] + zero) - _rounds(counts[order[-1]])
    if rounds > _rounds(taps + zero) or not all(map(_is_separable, windows)):
        return _by_tree(builder, call, before or source, windows, shape, zero=bool(zero))
    source = before or source
    for axis in order:
        window, along = windows[axis], len(shape) - len(windows) + axis
        if zero and axis == order[-1]:
            return _with_zero(builder, call, source, along, window, shape)
        starts = window[np.arange(len(window)), np.argmax(window >= 0, axis=1)]
        stops = starts + np.count_nonzero(window >= 0, axis=1)
        source = _along(builder, call, source, along, starts, stops)
    return source


def _rounds(elements: int) -> int:
    return (elements - 1).bit_length()


def _half(taps: int) -> int:
    """Return the largest power of two below `taps`."""
    return 1 << (taps - 1).bit_length() - 1


def _is_separable(window: Indices) -> bool:
    """Return True if windows along an axis are runs of pixels of which _along makes maxima.

    A window that the left border cuts must still have as many pixels as those of the round before the last.
    """
    inside = window >= 0
    apart = np.diff(window, axis=1)[inside[:, 1:] & inside[:, :-1]]
    counts = np.count_nonzero(inside, axis=1)
    cut = ~inside[:, 0]
    return bool(np.all(apart == 1) and np.all(counts >= 1)) and (
        window.shape[1] < 2 or bool(np.all(counts[cut] >= _half(window.shape[1])))
    )


def _along(
    builder: Builder, call: Call, source: Symbol, axis: int, starts: Indices, stops: Indices
) -> Symbol:
    """Return the largest elements of `source` along one axis, over the windows starts[i] to stops[i] - 1."""
    length = source.shape[axis]
    numbers = np.arange(source.size, dtype=np.int64).reshape(source.shape)
    taps = int((stops - starts).max())
    if taps == 1:
        return builder.move(source, np.take(numbers, starts, axis), call)
    half = _half(taps)
    # A window of less than `half` pixels ends at the border, as those of the round before do.
    first, second = starts, np.maximum(stops - half, starts)
    if half > 1:
        needed = np.unique(np.concatenate([first, second]))
        step = int(reduce(math.gcd, (int(n) for n in np.diff(needed)), 0)) or 1
        lattice = np.arange(needed[0], needed[-1] + 1, step)
        source = _along(builder, call, source, axis, lattice, np.minimum(lattice + half, length))
        numbers = np.arange(source.size, dtype=np.int64).reshape(source.shape)
        first, second = (first - needed[0]) // step, (second - needed[0]) // step
    return larger(builder, call, source, np.take(numbers, second, axis), np.take(numbers, first, axis))


def _with_zero(
    builder: Builder, call: Call, source: Symbol, axis: int, window: Indices, shape: Shape
) -> Symbol:
    """Return the largest elements of `source` along one axis over windows, and of the number 0."""
    numbers = np.moveaxis(np.arange(source.size, dtype=np.int64).reshape(source.shape), axis, -1)
    taps = np.moveaxis(np.where(window >= 0, numbers[..., window], -1), -2, axis)
    zeros = np.full((*taps.shape[:-1], 1), -1, dtype=np.int64)
    choices = np.concatenate([taps, zeros], axis=-1)
    return largest(builder, call, source, choices.reshape(-1, choices.shape[-1]), shape)


def _by_tree(
    builder: Builder, call: Call, source: Symbol, windows: Sequence[Indices], shape: Shape, *, zero: bool
) -> Symbol:
    """Return the largest elements over windows, and of the number 0 if `zero`, by a tree over all taps of a window."""
    pixels = np.zeros((1, 1), dtype=np.int64)
    for length, window in zip(source.shape[-len(windows) :], windows, strict=True):
        before, taps = pixels[:, None, :, None], window[None, :, None, :]
        joined = np.where((before >= 0) & (taps >= 0), before * length + taps, -1)
        pixels = joined.reshape(len(pixels) * len(window), -1)
    # A maximum ignores the padding: such a tap is replaced by another one of the same window.
    inside = np.take_along_axis(pixels, np.argmax(pixels >= 0, axis=1)[:, None], axis=1)
    pixels = np.where(pixels >= 0, pixels, inside)
    plane = math.prod(source.shape[-len(windows) :])
    images = np.arange(source.size // plane, dtype=np.int64)[:, None, None] * plane
    choices = (images + pixels).reshape(-1, pixels.shape[1])
    if zero:
        choices = np.concatenate([choices, np.full((len(choices), 1), -1)], axis=1)
    return largest(builder, call, source, choices, shape)


def _rectified(builder: Builder, call: Call, source: Symbol, taps: int) -> Symbol | None:
    """Return the input of the ReLU that computes `source`, or None.

    The largest of relu(x) is the largest of x and zero: where a tree takes one more element without another round, that
    saves the round of the ReLU. None where it does not, or where the user asked for another approximation of the ReLU
    than of the maximum.
    """
    producer = builder.producer(source)
    if not isinstance(producer, Activation) or producer.function != "relu" or producer.definition is not None:
        return None
    if taps & (taps - 1) == 0 or producer.wish != call.wish:
        return None
    return Symbol(producer.input, source.shape)


MAX_POOLS: Mapping[str, Handler] = MappingProxyType(
    {f"max_pool{n}d": _max_pool for n in (1, 2, 3)}
    | {f"max_pool{n}d_with_indices": _max_pool for n in (2, 3)}
    | {f"adaptive_max_pool{n}d": _adaptive_max_pool for n in (1, 2, 3)}
)
