"""Maxima and minima, as a tree of max(a, b) = b + relu(a - b) whose relu is approximated as any activation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.frontend.operations import matrices
from hetorch.compiler.frontend.operations.builder import Builder, Handler, Result, expanded
from hetorch.compiler.frontend.operations.call import Call, Shape, Symbol, as_array
from hetorch.ir.tensor_program import Activation


def greater(builder: Builder, call: Call, a: Symbol, b: Symbol) -> Symbol:
    """Return max(a, b), of equal shapes."""
    difference = builder.add(a, builder.scale(b, -1.0, call), call)
    return builder.add(b, builder.activation(difference, "relu", (), call), call)


def largest(builder: Builder, call: Call, source: Symbol, choices: NDArray[np.int64], shape: Shape) -> Symbol:
    """Return the largest of the elements of `source` that each row of `choices` names, in ceil(log2(columns)) rounds.

    In `choices` (rows, columns), -1 stands for the number zero. `shape` is that of the result, one element a row; its
    first axis is the channels, whose ranges are calibrated separately.
    """
    while choices.shape[1] > 1:
        half = choices.shape[1] // 2
        # With an odd number of columns the middle one is in both halves; no element is compared with itself.
        first, second = choices[:, : choices.shape[1] - half], choices[:, half:]
        size = (*shape, first.shape[1])
        b = builder.move(source, np.ascontiguousarray(second), call)
        difference = builder.affine(
            source,
            matrices.difference(first, second, source.size),
            None,
            call,
            size,
        )
        source = builder.add(b, builder.activation(difference, "relu", (), call), call)
        choices = np.arange(first.size, dtype=np.int64).reshape(first.shape)
    return builder.move(source, choices.reshape(shape), call)


def _max_pool(builder: Builder, call: Call) -> Result:
    source = call.symbol("self")
    axes = int(call.op.replace("_with_indices", "")[-2])
    kernel = call.integers("kernel_size", axes, 1)
    stride = call.integers("stride", axes, 1) if call["stride"] else kernel
    shape = call.shape or call.shapes[0]
    pixels = matrices.windows(
        source.shape[-axes:],
        kernel,
        stride,
        call.integers("padding", axes, 0),
        call.integers("dilation", axes, 1),
        shape[-axes:],
    )
    largest_values = _pooled(builder, call, source, pixels, shape, axes)
    return (largest_values, None) if call.op.endswith("indices") else largest_values


def _adaptive_max_pool(builder: Builder, call: Call) -> Result:
    source = call.symbol("self")
    axes = int(call.op[-2])
    shape = call.shape or call.shapes[0]
    columns = np.zeros((1, 1), dtype=np.int64)
    for n, m in zip(source.shape[-axes:], shape[-axes:], strict=True):
        bounds = [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        longest = max(stop - start for start, stop in bounds)
        taps = np.array([[min(start + t, stop - 1) for t in range(longest)] for start, stop in bounds])
        joined = columns[:, None, :, None] * n + taps[None, :, None, :]
        columns = joined.reshape(columns.shape[0] * m, columns.shape[1] * longest)
    largest_values = _pooled(builder, call, source, columns, shape, axes)
    return largest_values if call.shape else (largest_values, None)


def _pooled(
    builder: Builder, call: Call, source: Symbol, pixels: NDArray[np.int64], shape: Shape, axes: int
) -> Symbol:
    # A maximum ignores the padding: such a tap is replaced by another one of the same window.
    inside = np.take_along_axis(pixels, np.argmax(pixels >= 0, axis=1)[:, None], axis=1)
    taps = np.where(pixels >= 0, pixels, inside)
    plane = math.prod(source.shape[-axes:])
    images = np.arange(source.size // plane, dtype=np.int64)[:, None, None] * plane
    choices = (images + taps).reshape(-1, taps.shape[1])
    before = _rectified(builder, call, source, choices.shape[1])
    if before is not None:
        # The largest of relu(x) is the largest of x and zero. Where the tree takes one more element without another
        # round, that saves the round of the ReLU.
        source = before
        choices = np.concatenate([choices, np.full((len(choices), 1), -1)], axis=1)
    return largest(builder, call, source, choices, shape)


def _rectified(builder: Builder, call: Call, source: Symbol, many: int) -> Symbol | None:
    """Return the input of the ReLU that computes `source`, or None.

    None also where zero does not fit among `many` elements without another round, or where the user asked for another
    approximation of the ReLU than of the maximum.
    """
    producer = builder.producer(source)
    if not isinstance(producer, Activation) or producer.function != "relu" or producer.definition is not None:
        return None
    if many & (many - 1) == 0 or producer.wish != call.wish:
        return None
    return Symbol(producer.input, source.shape)


def _reduce(builder: Builder, call: Call) -> Result:
    source = call.symbol("self")
    axes = call.reduced_axes("dim", source.shape)
    negative = call.op in ("amin", "min")
    if negative:
        source = builder.scale(source, -1.0, call)
    numbers = np.arange(source.size, dtype=np.int64).reshape(source.shape)
    last = np.moveaxis(numbers, axes, range(len(source.shape) - len(axes), len(source.shape)))
    many = math.prod(source.shape[axis] for axis in axes)
    shape = call.shapes[0] if call.shapes else call.shape
    result = largest(builder, call, source, np.ascontiguousarray(last).reshape(-1, many), shape)
    if negative:
        result = builder.scale(result, -1.0, call)
    return (result, None) if call.shapes else result


def _pair(builder: Builder, call: Call) -> Symbol:
    sign = -1.0 if call.op in ("minimum", "fmin") or (call.op == "min") else 1.0
    a, b = call["self"], call["other"]
    if isinstance(a, Symbol) and isinstance(b, Symbol):
        first, second = (
            builder.scale(expanded(builder, value, call.shape, call), sign, call) for value in (a, b)
        )
        return builder.scale(greater(builder, call, first, second), sign, call)
    # max(x, c) = c + relu(x - c), and min(x, c) = c - relu(c - x).
    source, fixed = (a, b) if isinstance(a, Symbol) else (b, a)
    whole = expanded(builder, source, call.shape, call)
    level = np.broadcast_to(as_array(fixed), call.shape).reshape(-1)
    index = np.arange(whole.size, dtype=np.int64).reshape(call.shape)
    above = builder.activation(builder.move(whole, index, call, sign, -sign * level), "relu", (), call)
    return builder.move(above, index, call, sign, level)


def _maximum(builder: Builder, call: Call) -> Result:
    return _pair(builder, call) if "other" in call.arguments else _reduce(builder, call)


MAXIMUM: Mapping[str, Handler] = MappingProxyType(
    {f"max_pool{n}d": _max_pool for n in (1, 2, 3)}
    | {f"max_pool{n}d_with_indices": _max_pool for n in (2, 3)}
    | {f"adaptive_max_pool{n}d": _adaptive_max_pool for n in (1, 2, 3)}
    | dict.fromkeys(("amax", "amin"), _reduce)
    | dict.fromkeys(("max", "min", "maximum", "minimum", "fmax", "fmin"), _maximum)
)
