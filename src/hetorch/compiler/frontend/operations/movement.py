"""Operations that only move elements. Each is run on the numbers of the elements; its result is the map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.operations.builder import Builder, Handler, broadcast_index, plus_constant
from hetorch.compiler.frontend.operations.call import Array, Call, Shape, Symbol, as_array

IDENTITY = frozenset(
    {
        "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "clone", "contiguous", "detach",
        "alias", "to", "_to_copy", "type_as", "float", "double", "lift_fresh_copy", "positive",
    }
)  # fmt: skip
"""Operations that leave the numbers as they are, in evaluation mode."""

MOVING = frozenset(
    {
        "view", "view_as", "_unsafe_view", "reshape", "reshape_as", "flatten", "unflatten", "permute", "transpose",
        "swapaxes", "swapdims", "movedim", "moveaxis", "t", "mT", "numpy_T", "squeeze", "unsqueeze", "slice", "select",
        "narrow", "expand", "expand_as", "repeat", "repeat_interleave", "tile", "flip", "fliplr", "flipud", "roll",
        "constant_pad_nd", "pad", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
        "replication_pad2d", "replication_pad3d", "index_select", "index", "gather", "take", "pixel_shuffle",
        "pixel_unshuffle", "channel_shuffle", "rot90", "upsample_nearest1d", "upsample_nearest2d",
        "upsample_nearest3d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d",
        "unfold", "im2col", "diagonal", "diag_embed", "diag", "tril", "triu", "split", "split_with_sizes", "chunk",
        "tensor_split", "unbind", "hsplit", "vsplit", "dsplit", "unsafe_chunk", "unsafe_split", "broadcast_to",
        "ravel", "squeeze_copy", "select_copy", "view_copy", "permute_copy", "slice_copy", "expand_copy",
    }
)  # fmt: skip
"""Operations, of one result or several, that move, repeat or leave out elements, or insert zeros."""


def _identity(builder: Builder, call: Call) -> Symbol:
    """Return the value itself, with the shape of the call."""
    if call.arguments.get("train"):
        raise call.unsupported("it draws random numbers", "use nn.Dropout, which does nothing after training")
    return Symbol(next(v for v in call.arguments.values() if isinstance(v, Symbol)).value, call.shape)


def _move(builder: Builder, call: Call) -> Symbol | tuple[Symbol, ...]:
    """Return the results of an operation of MOVING."""
    name, source = next((n, v) for n, v in call.arguments.items() if isinstance(v, Symbol))
    arguments = dict(call.arguments)
    if call.op.endswith("_as"):
        # Only the shape of the other tensor matters.
        arguments["other"] = torch.zeros(call["other"].shape)
    if sum(isinstance(v, Symbol) for v in arguments.values()) > 1:
        raise call.unsupported("places are taken from the input", "only fixed indices work")
    filling = 0.0
    if call.op == "constant_pad_nd" or (call.op == "pad" and call["mode"] == "constant"):
        filling, arguments["value"] = float(call["value"] or 0.0), 0.0
    if not math.isfinite(filling):
        raise call.unsupported(f"padding with {filling}", "pad with a finite number")
    # Elements are numbered from 1: a 0 in the result is a zero. float64 is exact for the size of any tensor.
    arguments[name] = torch.arange(1, source.size + 1, dtype=torch.float64).reshape(source.shape)
    moved = call.target(**arguments)
    if not isinstance(moved, (tuple, list)):
        return _moved(builder, call, source, moved, filling)
    return tuple(_moved(builder, call, source, part, filling) for part in moved)


def _moved(builder: Builder, call: Call, source: Symbol, moved: torch.Tensor, filling: float) -> Symbol:
    index = moved.numpy().astype(np.int64) - 1
    bias = np.where(index.reshape(-1) < 0, filling, 0.0) if filling else None
    return builder.move(source, index, call, bias=bias)


def _concatenate(builder: Builder, call: Call) -> Symbol:
    """Join encrypted values and constants: each part is moved to its place, then all are added."""
    axis = int(call["dim"]) % len(call.shape)
    return _joined(builder, call, list(call["tensors"]), axis)


def _stack(builder: Builder, call: Call) -> Symbol:
    """Join encrypted values and constants along a new axis."""
    axis = int(call["dim"]) % len(call.shape)
    parts: list[Any] = []
    for part in call["tensors"]:
        if isinstance(part, Symbol):
            parts.append(Symbol(part.value, (*part.shape[:axis], 1, *part.shape[axis:])))
        else:
            parts.append(part.unsqueeze(axis))
    return _joined(builder, call, parts, axis)


def _where(builder: Builder, call: Call) -> Symbol:
    """Choose by a fixed condition; masked_fill is a choice as well."""
    filled = call.op == "masked_fill"
    mask, other = call["mask" if filled else "condition"], call["value" if filled else "other"]
    chosen = call["self"]
    if isinstance(mask, Symbol):
        raise call.unsupported(
            "the choice depends on the input", "use a smooth function, such as sigmoid(k x), as a gate"
        )
    keep = np.broadcast_to(as_array(mask) != 0, call.shape) != filled
    total: Symbol | None = None
    bias: Array = np.zeros(math.prod(call.shape))
    for value, places in ((chosen, keep), (other, ~keep)):
        if isinstance(value, Symbol):
            index = np.where(places, broadcast_index(value, call.shape), -1)
            moved = builder.move(value, index, call)
            total = moved if total is None else builder.add(total, moved, call)
        else:
            bias = bias + np.where(places, np.broadcast_to(as_array(value), call.shape), 0.0).reshape(-1)
    assert total is not None
    return plus_constant(builder, call, total, bias)


def _joined(builder: Builder, call: Call, parts: list[Any], axis: int) -> Symbol:
    shape: Shape = call.shape
    bias: Array = np.zeros(shape)
    total: Symbol | None = None
    start = 0
    for part in parts:
        if math.prod(part.shape) == 0:
            continue
        index = np.full(shape, -1, dtype=np.int64)
        place = [slice(None)] * len(shape)
        place[axis] = slice(start, start + part.shape[axis])
        start += part.shape[axis]
        if not isinstance(part, Symbol):
            bias[tuple(place)] = as_array(part)
            continue
        index[tuple(place)] = np.arange(part.size, dtype=np.int64).reshape(part.shape)
        moved = builder.move(part, index, call)
        total = moved if total is None else builder.add(total, moved, call)
    assert total is not None
    return plus_constant(builder, call, Symbol(total.value, shape), bias.reshape(-1))


MOVEMENT: Mapping[str, Handler] = MappingProxyType(
    {
        **dict.fromkeys(IDENTITY, _identity),
        **dict.fromkeys(MOVING, _move),
        **dict.fromkeys(("cat", "concat", "concatenate"), _concatenate),
        "stack": _stack,
        "where": _where,
        "masked_fill": _where,
    }
)
