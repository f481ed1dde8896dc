"""The outputs of a model that returns several tensors: each has a name, and a place in the row that a plan returns."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.plan.fields import LARGEST, Fields
from hetorch.plan.output_functions import OutputFunction, functions_json, read_functions

MOST_HEADS = 1024
"""Largest number of outputs of a model; a plan with more is refused."""
NAME_LENGTH = 200
"""Most characters in the name of an output."""
MOST_AXES = 8
"""Largest number of axes of an output."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Head:
    """One output: `scale` * y + `offset`, where y are its numbers in the plan's row, reshaped to `shape`; then the
    `functions` in order.

    The compiler gives all outputs of a row a range of 1 at most, so that none is lost in the encryption error of a
    larger one.
    """

    name: str
    shape: tuple[int, ...]
    scale: float = 1.0
    offset: float = 0.0
    functions: tuple[OutputFunction, ...] = ()

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def split(heads: tuple[Head, ...], results: Array) -> tuple[Array, ...]:
    """Return the outputs in a row of results, (..., elements), before their functions: each has shape (..., *shape)."""
    parts, begin = [], 0
    for head in heads:
        part = results[..., begin : begin + head.size]
        parts.append((head.scale * part + head.offset).reshape(*results.shape[:-1], *head.shape))
        begin += head.size
    return tuple(parts)


def row(heads: tuple[Head, ...], parts: Iterable[Array]) -> Array:
    """Return the row (batch, elements) of which `split` makes these outputs."""
    scaled = [
        (part.reshape(len(part), -1) - head.offset) / head.scale
        for head, part in zip(heads, parts, strict=True)
    ]
    return np.concatenate(scaled, axis=1)


def heads_json(heads: tuple[Head, ...]) -> list[dict[str, object]]:
    """Return outputs as plain data, which read_heads reads."""
    return [
        {"name": head.name, "shape": list(head.shape), "scale": head.scale, "offset": head.offset}
        | functions_json(head.functions)
        for head in heads
    ]


def read_heads(fields: Fields) -> tuple[Head, ...]:
    """Read the field `heads`; the error of `fields` names what is wrong."""
    heads = []
    for child in fields.children("heads", MOST_HEADS):
        heads.append(
            Head(
                name=child.text("name", NAME_LENGTH),
                shape=child.integers("shape", 1, 1 << 22, MOST_AXES),
                scale=child.number("scale", 1e-300, LARGEST),
                offset=child.number("offset", -LARGEST, LARGEST),
                functions=read_functions(child),
            )
        )
        child.done()
    if len({head.name for head in heads}) < len(heads):
        raise fields.error("two heads have the same name")
    return tuple(heads)
