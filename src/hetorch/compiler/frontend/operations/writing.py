"""Writes into a part of a tensor: each element of the result is one of the old tensor or one of the new values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.operations.builder import Builder, Handler, expanded, plus_constant
from hetorch.compiler.frontend.operations.call import Array, Call, Symbol, as_array

_NEW = ("src", "values", "source", "value")
"""Names that torch's schemas have for the new values."""


def _written(builder: Builder, call: Call) -> Symbol:
    if call.arguments.get("accumulate") or call.arguments.get("reduce"):
        raise call.unsupported("it adds up what it writes", "write each place once, and add")
    name = next((n for n in _NEW if isinstance(call.arguments.get(n), (Symbol, torch.Tensor))), None)
    if name is None:
        raise call.unsupported("it writes a number", "write a tensor of them")
    parts = call["self"], call[name]
    others = [value for key, value in call.arguments.items() if key not in ("self", name)]
    if any(isinstance(value, Symbol) for value in others):
        raise call.unsupported("places are taken from the input", "only fixed indices work")
    # Elements of the old tensor are numbered 1, 2, ..., those of the new values -1, -2, ...
    old, new = (
        sign * torch.arange(1, math.prod(part.shape) + 1, dtype=torch.float64).reshape(tuple(part.shape))
        for sign, part in zip((1, -1), parts, strict=True)
    )
    written = call.target(**{**call.arguments, "self": old, name: new}).numpy().astype(np.int64)
    bias: Array = np.zeros(written.size)
    total: Symbol | None = None
    for part, index in zip(parts, (written - 1, -written - 1), strict=True):
        index = np.maximum(index, -1)
        if isinstance(part, Symbol):
            moved = builder.move(part, index, call)
            total = moved if total is None else builder.add(total, moved, call)
        else:
            flat, places = as_array(part).reshape(-1), index.reshape(-1)
            bias[places >= 0] = flat[places[places >= 0]]
    assert total is not None
    return plus_constant(builder, call, total, bias)


def _copy(builder: Builder, call: Call) -> Any:
    source = call["src"]
    if isinstance(source, Symbol):
        return expanded(builder, source, call.shape, call)
    return source.expand(call.shape)


WRITING: Mapping[str, Handler] = MappingProxyType(
    dict.fromkeys(
        ("slice_scatter", "select_scatter", "diagonal_scatter", "index_put", "index_copy", "scatter"),
        _written,
    )
    | {"copy": _copy}
)
