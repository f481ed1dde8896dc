"""The state of an encrypted vector of real numbers: many values in the slots of few ciphertexts, and how two meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hetorch.tenseal.ckks import products
from hetorch.tenseal.ckks.arithmetic import Arithmetic
from hetorch.tenseal.ckks.context import CkksContext
from hetorch.tenseal.ckks.element import Element
from hetorch.tenseal.ckks.layout import Chunk, Layout
from hetorch.tenseal.ckks.levels import Reals
from hetorch.tenseal.scheme.errors import refusal


@dataclass(frozen=True, slots=True)
class VectorData:
    """The ciphertexts of a vector. Each but the last one holds as many values as there are slots."""

    scale: float
    chunks: tuple[Chunk, ...]

    @property
    def size(self) -> int:
        """The number of values in all ciphertexts."""
        if len(self.chunks) == 1:
            return self.chunks[0].layout.size
        return sum(chunk.layout.size for chunk in self.chunks)


def encrypt_vector(arithmetic: Arithmetic, values: Reals) -> VectorData:
    """Encrypt each run of slot_count values in one ciphertext, repeated along its slots."""
    slot_count = arithmetic.context.parameters.slot_count
    chunks = []
    for at in range(0, len(values), slot_count):
        part = values[at : at + slot_count]
        element = arithmetic.encrypt(np.resize(part, slot_count))
        chunks.append(Chunk(element, Layout(len(part), len(part), slot_count)))
    return VectorData(arithmetic.scale, tuple(chunks))


def map_vector(
    context: CkksContext, data: VectorData, operation: Callable[[Arithmetic, Element], Element]
) -> VectorData:
    """Apply `operation` to each ciphertext."""
    arithmetic = Arithmetic(context, data.scale)
    chunks = tuple([Chunk(operation(arithmetic, chunk.element), chunk.layout) for chunk in data.chunks])
    return VectorData(data.scale, chunks)


def combine_with_values(
    context: CkksContext,
    data: VectorData,
    values: Reals,
    operation: Callable[[Arithmetic, Element, Reals], Element],
) -> VectorData:
    """Apply `operation` to each ciphertext and its share of `values` (data.size,), laid out as the ciphertext's."""
    arithmetic, at, chunks = Arithmetic(context, data.scale), 0, []
    for chunk in data.chunks:
        part = chunk.layout.spread(values[at : at + chunk.layout.size], context.parameters.slot_count)
        chunks.append(Chunk(operation(arithmetic, chunk.element, part), chunk.layout))
        at += chunk.layout.size
    return VectorData(data.scale, tuple(chunks))


def combine_vectors(
    context: CkksContext,
    left: VectorData,
    right: VectorData,
    operation: Callable[[Arithmetic, Element, Element], Element],
) -> VectorData:
    """Apply `operation` to the ciphertexts of two vectors in pairs, at the left one's scale.

    A vector of one value is spread to the other's size; ValueError for other sizes that differ.
    """
    if left.size != right.size:
        if left.size == 1:
            left = _replicated(context, left, right)
        elif right.size == 1:
            right = _replicated(context, right, left)
        else:
            raise refusal(
                ValueError,
                "can't compute on vectors of different sizes",
                f"{left.size} and {right.size} values",
            )
    arithmetic = Arithmetic(context, left.scale)
    chunks = [
        Chunk(operation(arithmetic, a.element, b.element), a.layout.meet(b.layout))
        for a, b in zip(left.chunks, right.chunks, strict=True)
    ]
    return VectorData(left.scale, tuple(chunks))


def _replicated(context: CkksContext, one: VectorData, like: VectorData) -> VectorData:
    """Return a vector of one value as one with the sizes of `like`."""
    arithmetic = Arithmetic(context, one.scale)
    chunks = tuple(products.replicate(arithmetic, one.chunks[0], chunk.layout.size) for chunk in like.chunks)
    # A value that repeats everywhere has any period: it takes the other's, so that the result keeps its repetition.
    return VectorData(
        one.scale,
        tuple(
            Chunk(c.element, Layout(other.layout.size, other.layout.period, c.layout.reach))
            if c.layout.reach >= other.layout.size
            else c
            for c, other in zip(chunks, like.chunks, strict=True)
        ),
    )
