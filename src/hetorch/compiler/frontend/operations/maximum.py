"""Maxima and minima, as a tree of max(a, b) = b + relu(a - b) whose relu is approximated as any activation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.frontend.operations import matrices
from hetorch.compiler.frontend.operations.builder import Builder, Handler, Result, expanded
from hetorch.compiler.frontend.operations.call import Call, Shape, Symbol, as_array, own_shape


def greater(builder: Builder, call: Call, a: Symbol, b: Symbol) -> Symbol:
    """Return max(a, b), of equal shapes."""
    difference = builder.add(a, builder.scale(b, -1.0, call), call)
    return builder.add(b, builder.activation(difference, "relu", (), call), call)


def larger(
    builder: Builder, call: Call, source: Symbol, first: NDArray[np.int64], second: NDArray[np.int64]
) -> Symbol:
    """Return the larger of the elements of `source` that `first` and `second` name, in their shape; -1 names zero."""
    b = builder.move(source, np.ascontiguousarray(second), call)
    matrix = matrices.difference(first, second, source.size)
    difference = builder.affine(source, matrix, None, call, first.shape)
    return builder.add(b, builder.activation(difference, "relu", (), call), call)


def largest(builder: Builder, call: Call, source: Symbol, choices: NDArray[np.int64], shape: Shape) -> Symbol:
    """Return the largest of the elements of `source` that each row of `choices` names, in ceil(log2(columns)) rounds.

    In `choices` (rows, columns), -1 stands for the number zero. `shape` is that of the result, one element a row; its
    first axis is the channels, whose ranges are calibrated separately. The pairs of a round are further channels: the
    pixels of an image stay an image.
    """
    own = own_shape(shape)
    while choices.shape[1] > 1:
        half = choices.shape[1] // 2
        # With an odd number of columns the middle one is in both halves; no element is compared with itself.
        first, second = choices[:, : choices.shape[1] - half], choices[:, half:]
        numbers = np.arange(first.size, dtype=np.int64)
        if len(own) == 1:
            size: Shape = (1, *own, first.shape[1])
            choices = numbers.reshape(first.shape)
        else:
            size = (1, first.shape[1] * own[0], *own[1:])
            choices = numbers.reshape(first.T.shape).T
            first, second = first.T, second.T
        source = larger(builder, call, source, first.reshape(size), second.reshape(size))
    return builder.move(source, choices.reshape(shape), call)


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
    dict.fromkeys(("amax", "amin"), _reduce)
    | dict.fromkeys(("max", "min", "maximum", "minimum", "fmax", "fmin"), _maximum)
)
