"""torch's operations that only move elements: run on the indices themselves, and what comes out is the matrix."""

from __future__ import annotations

import numpy as np
import torch

from hetorch.frontend.builder import BATCH, Builder, Call, Symbol

IDENTITY = frozenset(
    {
        "dropout",
        "feature_dropout",
        "alpha_dropout",
        "clone",
        "contiguous",
        "detach",
        "alias",
        "to",
        "lift_fresh_copy",
    }
)
"""Operations that do nothing to the numbers, in evaluation."""

MOVEMENT = frozenset(
    {
        "view", "_unsafe_view", "reshape", "flatten", "unflatten", "permute", "transpose", "swapaxes", "movedim", "t",
        "squeeze", "unsqueeze", "slice", "select", "narrow", "expand", "expand_as", "repeat", "flip", "roll",
        "constant_pad_nd", "pad", "index_select", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "rot90",
        "upsample_nearest2d",
    }
)  # fmt: skip
"""Operations that move, repeat or leave out elements, or put zeros."""


def identity(builder: Builder, call: Call) -> Symbol:
    """The value itself, with the shape that torch says."""
    return Symbol(next(v for v in call.arguments.values() if isinstance(v, Symbol)).value, call.shape)


def movement(builder: Builder, call: Call) -> Symbol:
    """Any operation of MOVEMENT."""
    name, source = next((n, v) for n, v in call.arguments.items() if isinstance(v, Symbol))
    if call.op in ("constant_pad_nd", "pad") and call["value"] not in (None, 0, 0.0):
        raise call.unsupported(f"padding with {call['value']}", "padding with 0 works")
    if call.op == "pad" and call["mode"] not in ("constant", "reflect", "replicate", "circular"):
        raise call.unsupported(f"padding mode {call['mode']}", "constant padding with 0 works")
    # Element numbers begin at 1, so that a 0 is a zero; float64 is exact far beyond any tensor's size.
    numbers = torch.arange(1, BATCH * source.size + 1, dtype=torch.float64).reshape(BATCH, *source.shape)
    moved = call.target(**{key: numbers if key == name else value for key, value in call.arguments.items()})
    index = moved.numpy().astype(np.int64) - 1
    if index.shape != (BATCH, *call.shape) or index[0].max() >= source.size:
        raise call.unsupported("it mixes the samples of a batch", "leave axis 0 as it is")
    return builder.move(source, index[0], call)


def concatenate(builder: Builder, call: Call) -> Symbol:
    """torch.cat of encrypted values: each moved to its place, then added."""
    parts = call["tensors"]
    axis = int(call["dim"]) % (len(call.shape) + 1) - 1
    if axis < 0 or not all(isinstance(part, Symbol) for part in parts):
        raise call.unsupported(
            "joins constants or samples", "cat of encrypted values along another axis works"
        )
    total: Symbol | None = None
    start = 0
    for part in parts:
        index = np.full(call.shape, -1, dtype=np.int64)
        place = [slice(None)] * len(call.shape)
        place[axis] = slice(start, start + part.shape[axis])
        index[tuple(place)] = np.arange(part.size, dtype=np.int64).reshape(part.shape)
        start += part.shape[axis]
        moved = builder.move(part, index, call)
        total = moved if total is None else builder.add(total, moved, call)
    assert total is not None
    return total
