"""An array of ciphertexts, the state of an encrypted tensor of either scheme, and its shapes; no ciphertext changes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.interop.tenseal_format.tensors import MAX_DIMENSIONS
from hetorch.tenseal.scheme.arguments import sequence_of
from hetorch.tenseal.scheme.errors import incompatible, refusal

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

        An int keeps its dimension. IndexError beyond the shape.
        """
        shape = self.shape
        if isinstance(item, int):
            if item < 0:
                raise incompatible("subscript", f"an index is 0 or above, got {item}")
            if item >= (shape[0] if shape else 0):
                raise IndexError(f"index {item} is out of range for shape {list(shape)}")
            item = slice(item, item + 1)
        cuts = (item,) if isinstance(item, slice) else tuple(item)
        if len(cuts) > len(shape):
            raise refusal(
                RuntimeError, "Too many slices for view.", f"{len(cuts)} slices for shape {list(shape)}"
            )
        for cut, size in zip(cuts, shape, strict=False):
            start = 0 if cut.start is None else cut.start
            stop = size if cut.stop is None else cut.stop
            if cut.step not in (None, 1):
                raise incompatible("subscript", "a slice has step 1")
            if not 0 <= start <= stop <= size:
                raise IndexError(f"slice {start}:{stop} is out of range for a dimension of {size}")
        return self.with_elements(self.elements[cuts])

    def reshaped(self, shape: object) -> TensorData:
        """Return the same elements in another shape; ValueError if their number differs."""
        sizes = checked_shape(shape_of(shape, "reshape"))
        if math.prod(sizes) != self.elements.size:
            raise refusal(
                ValueError,
                "invalid reshape input",
                f"{self.elements.size} elements do not fit shape {list(sizes)}",
            )
        return self.with_elements(self.elements.reshape(sizes))

    def broadcast(self, shape: object) -> TensorData:
        """Return the elements broadcast to `shape` by numpy's rules; RuntimeError where these forbid it."""
        return self.with_elements(broadcast_array(self.elements, checked_shape(shape_of(shape, "broadcast"))))

    def transposed(self) -> TensorData:
        """Return the dimensions in reverse order, without the batch's."""
        return self.with_elements(self.elements.T)


def shape_of(shape: object, function: str) -> tuple[int, ...]:
    """Return a sequence of ints of at least 0 as a tuple; TypeError, which names `function`, for anything else."""
    items = sequence_of(shape, function)
    try:
        sizes = tuple(operator.index(size) for size in items)
    except TypeError:
        raise incompatible(function, f"a shape is a list of int, got {shape!r}") from None
    if any(not 0 <= size < 1 << 64 for size in sizes):
        raise incompatible(function, f"the sizes of a shape are 0 or above, got {list(sizes)}")
    return sizes


def checked_shape(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an encrypted tensor; ValueError for more dimensions than numpy and a batch allow."""
    if len(sizes) > MAX_DIMENSIONS:
        raise refusal(
            ValueError, f"an encrypted tensor has at most {MAX_DIMENSIONS} dimensions, got {len(sizes)}"
        )
    return sizes


def as_array(elements: Any) -> Elements:
    """Return an array of elements as it is, and a single element as an array without dimensions."""
    if isinstance(elements, np.ndarray):
        return elements
    array = np.empty((), dtype=object)
    array[()] = elements
    return array


# The texts of xtensor, whose arrays TenSEAL's are.
_FEWER = "Broadcast shape has fewer elements than original expression."
_INCOMPATIBLE = "Incompatible dimension of arrays, compile in DEBUG for more info"


def broadcast_array(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Broadcast `array` to `shape` by numpy's rules; RuntimeError where these forbid it."""
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        text = _FEWER if len(shape) < array.ndim else _INCOMPATIBLE
        raise refusal(RuntimeError, text, f"shape {list(array.shape)} cannot become {list(shape)}") from None


def broadcast_pair(left: Elements, right: NDArray[Any]) -> tuple[Elements, NDArray[Any]]:
    """Broadcast two arrays to one shape by numpy's rules; RuntimeError where these forbid it."""
    try:
        shape = np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        smaller, larger = (left, right) if left.size < right.size else (right, left)
        raise refusal(
            RuntimeError,
            _FEWER if larger.ndim < smaller.ndim else _INCOMPATIBLE,
            f"shapes {list(left.shape)} and {list(right.shape)} have no common one",
        ) from None
    return np.broadcast_to(left, shape), np.broadcast_to(right, shape)
