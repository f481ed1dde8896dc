"""An array of ciphertexts, the state of an encrypted tensor of either scheme, and its shapes; no ciphertext changes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.interop.tenseal_format.tensors import MAX_DIMENSIONS
from hetorch.tenseal.scheme.errors import BroadcastError, OperandTypeError

Elements = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class TensorData:
    """The ciphertexts of a tensor.

    Args:
        scale: the scale under CKKS; None under BFV.
        elements: one ciphertext for each element, in the tensor's shape.
        batch: with a batch of that size, slot i of each ciphertext belongs to sample i; else None.
    """

    scale: float | None
    elements: Elements
    batch: int | None

    @classmethod
    def of(
        cls, scale: float | None, elements: Sequence[Any], shape: tuple[int, ...], batch: int | None
    ) -> TensorData:
        """Return a tensor of `shape` from its elements in row-major order."""
        flat = np.empty(len(elements), dtype=object)
        flat[:] = elements
        return cls(scale, flat.reshape(checked_shape(shape)), batch)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the dimensions, without the batch's."""
        return self.elements.shape

    def with_elements(self, elements: Any) -> TensorData:
        """Return the same scale and batch with other elements, an array of them or a single one."""
        return TensorData(self.scale, as_array(elements), self.batch)

    def cut(self, item: Any) -> TensorData:
        """Return the part that an int (for the first dimension), a slice or a tuple of slices selects.

        An int keeps its dimension. IndexError beyond the shape, OperandTypeError for other indices.
        """
        shape = self.shape
        if isinstance(item, int):
            if not 0 <= item < (shape[0] if shape else 0):
                raise IndexError(f"index {item} is out of range for shape {list(shape)}")
            item = slice(item, item + 1)
        cuts = item if isinstance(item, tuple) else (item,)
        if len(cuts) > len(shape):
            raise IndexError(f"{len(cuts)} indices for shape {list(shape)}")
        for cut, size in zip(cuts, shape, strict=False):
            if not isinstance(cut, slice) or cut.step not in (None, 1):
                raise OperandTypeError("indices are slices with step 1, or one int for the first dimension")
            start = 0 if cut.start is None else cut.start
            stop = size if cut.stop is None else cut.stop
            if not 0 <= start <= stop <= size:
                raise IndexError(f"slice {start}:{stop} is out of range for a dimension of {size}")
        return self.with_elements(self.elements[cuts])

    def reshaped(self, shape: object) -> TensorData:
        """Return the same elements in another shape; InputError if their number differs."""
        sizes = checked_shape(shape)
        if math.prod(sizes) != self.elements.size:
            raise InputError(f"invalid reshape input: shape {list(self.shape)} to {list(sizes)}")
        return self.with_elements(self.elements.reshape(sizes))

    def broadcast(self, shape: object) -> TensorData:
        """Return the elements broadcast to `shape` by numpy's rules; BroadcastError where these forbid it."""
        return self.with_elements(broadcast_array(self.elements, checked_shape(shape)))

    def transposed(self) -> TensorData:
        """Return the dimensions in reverse order, without the batch's."""
        return self.with_elements(self.elements.T)


def shape_of(shape: object) -> tuple[int, ...]:
    """Return a shape as a tuple of ints of at least 0; OperandTypeError for anything else."""
    try:
        sizes = tuple(operator.index(size) for size in shape)  # type: ignore[attr-defined]  # the loop tests it
    except TypeError:
        raise OperandTypeError(f"a shape is a list of int, got {shape!r}") from None
    if any(size < 0 for size in sizes):
        raise OperandTypeError(f"the sizes of a shape are 0 or above, got {list(sizes)}")
    return sizes


def checked_shape(shape: object) -> tuple[int, ...]:
    """Return the shape of an encrypted tensor; InputError for more dimensions than numpy and a batch allow."""
    sizes = shape_of(shape)
    if len(sizes) > MAX_DIMENSIONS:
        raise InputError(f"an encrypted tensor has at most {MAX_DIMENSIONS} dimensions, got {len(sizes)}")
    return sizes


def as_array(elements: Any) -> Elements:
    """Return an array of elements as it is, and a single element as an array without dimensions."""
    if isinstance(elements, np.ndarray):
        return elements
    array = np.empty((), dtype=object)
    array[()] = elements
    return array


def broadcast_array(array: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Broadcast `array` to `shape` by numpy's rules; BroadcastError where these forbid it."""
    try:
        return np.broadcast_to(array, shape_of(shape))
    except ValueError:
        raise BroadcastError(
            f"Incompatible dimension of arrays: shape {list(array.shape)} cannot become {list(shape)}"
        ) from None


def broadcast_pair(left: Elements, right: NDArray[Any]) -> tuple[Elements, NDArray[Any]]:
    """Broadcast two arrays to one shape by numpy's rules; BroadcastError where these forbid it."""
    try:
        shape = np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        raise BroadcastError(
            f"Incompatible dimension of arrays: shapes {list(left.shape)} and {list(right.shape)}"
        ) from None
    return np.broadcast_to(left, shape), np.broadcast_to(right, shape)
