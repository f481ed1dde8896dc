"""N-dimensional tensors in clear, the operands of encrypted ones."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hetorch.engine._native import array_of_reals
from hetorch.errors import InputError
from hetorch.tenseal.errors import BroadcastError, OperandTypeError

_TYPES = {"float": np.float64, "int": np.int64}


def _type_of(dtype: str) -> Any:
    if dtype not in ("float", "int"):
        raise InputError("wrong dtype, must be either 'float' or 'int'")
    return _TYPES[dtype]


def shape_of(shape: object) -> tuple[int, ...]:
    """A shape as a tuple of whole numbers of at least 0."""
    try:
        sizes = tuple(operator.index(size) for size in shape)  # type: ignore[attr-defined]  # it may not be one
    except TypeError:
        raise OperandTypeError(f"a shape is a list of int, got {shape!r}") from None
    if any(size < 0 for size in sizes):
        raise OperandTypeError(f"the sizes of a shape are 0 or above, got {list(sizes)}")
    return sizes


def broadcast_array(array: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Numpy's rules; BroadcastError (a ValueError and a RuntimeError) where they do not allow it."""
    try:
        return np.broadcast_to(array, shape_of(shape))
    except ValueError:
        raise BroadcastError(
            f"Incompatible dimension of arrays: shape {list(array.shape)} cannot become {list(shape)}"
        ) from None


class PlainTensor:
    """A tensor of doubles ("float") or 64-bit integers ("int"); `shape` replaces the shape of `tensor`.

    TypeError if `tensor` is not a well-formed array of numbers, ValueError if the shape does not fit.
    """

    def __init__(self, tensor: Any, shape: list[int] | None = None, dtype: str = "float") -> None:
        kind = _type_of(dtype)
        if isinstance(tensor, PlainTensor):
            tensor = tensor.array
        try:
            array = array_of_reals(tensor) if dtype == "float" and type(tensor) in (list, tuple) else None
            if array is None:
                array = np.array(tensor, dtype=kind)
        except Exception as error:
            raise OperandTypeError(f"input isn't a well structured tensor: {error}") from None
        if shape is not None:
            sizes = shape_of(shape)
            if math.prod(sizes) != array.size:
                raise InputError(f"tensor with mismatched shape: {array.size} values, shape {list(sizes)}")
            array = array.reshape(sizes)
        self._dtype = dtype
        self._array: NDArray[Any] = array

    @property
    def array(self) -> NDArray[Any]:
        """The values as a numpy array, which is not a copy."""
        return self._array

    @property
    def data(self) -> NDArray[Any]:
        """The wrapped object: a numpy array here."""
        return self._array

    @data.setter
    def data(self, value: NDArray[Any]) -> None:
        if not isinstance(value, np.ndarray) or value.dtype not in (np.float64, np.int64):
            raise OperandTypeError("wrong data type")
        self._array = value
        self._dtype = "float" if value.dtype == np.float64 else "int"

    @property
    def raw(self) -> list[float] | list[int]:
        """The values in row-major order."""
        return self._array.ravel().tolist()

    @property
    def dtype(self) -> str:
        """Either "float" or "int"; setting it converts, towards zero for "int"."""
        return self._dtype

    @dtype.setter
    def dtype(self, value: str) -> None:
        self._array = self._array.astype(_type_of(value))
        self._dtype = value

    def at(self, index: list[int]) -> int | float:
        """The value at a full index; ValueError if it is too short, too long or beyond the shape."""
        where = shape_of(index)
        if len(where) != self._array.ndim:
            raise InputError(
                f"tensor cannot be viewed in the requested format: {len(where)} indices, {self._array.ndim} dimensions"
            )
        if any(i >= size for i, size in zip(where, self._array.shape, strict=True)):
            raise InputError(f"invalid dimension index: {list(where)} in shape {self.shape}")
        value: int | float = self._array[where].item()
        return value

    @property
    def shape(self) -> list[int]:
        """The sizes of the dimensions; [] for a single number."""
        return list(self._array.shape)

    def strides(self) -> list[int]:
        """Values from one index to the next, for each dimension, in row-major order; 0 where there is one index."""
        shape = self._array.shape
        return [0 if size == 1 else math.prod(shape[axis + 1 :]) for axis, size in enumerate(shape)]

    def empty(self) -> bool:
        return self._array.size == 0

    def size(self) -> int:
        """shape[0]; ValueError for a single number, which has none."""
        if self._array.ndim == 0:
            raise InputError("a single number has no first dimension")
        return int(self._array.shape[0])

    def __len__(self) -> int:
        return self.size()

    def tolist(self) -> Any:
        """Nested lists of the shape."""
        return self._array.tolist()

    def batch(self, dim: int) -> list[list[int | float]]:
        """One list along dimension `dim` for each index of the others; ValueError if there is no such dimension."""
        if not 0 <= dim < self._array.ndim:
            raise InputError(f"invalid dimension for batching: {dim} of {self._array.ndim}")
        moved = np.moveaxis(self._array, dim, -1)
        lists: list[list[int | float]] = moved.reshape(-1, self._array.shape[dim]).tolist()
        return lists

    def reshape(self, shape: list[int]) -> PlainTensor:
        """A copy of another shape; ValueError if the number of values differs."""
        return PlainTensor(self._array, shape=shape, dtype=self._dtype)

    def reshape_(self, shape: list[int]) -> Self:
        sizes = shape_of(shape)
        if math.prod(sizes) != self._array.size:
            raise InputError(f"invalid reshape input: {self._array.size} values, shape {list(sizes)}")
        self._array = self._array.reshape(sizes)
        return self

    def broadcast(self, shape: list[int]) -> PlainTensor:
        """A copy broadcast to `shape` by numpy's rules; RuntimeError where they do not allow it."""
        return PlainTensor(broadcast_array(self._array, shape), dtype=self._dtype)

    def broadcast_(self, shape: list[int]) -> Self:
        self._array = broadcast_array(self._array, shape).copy()
        return self

    def transpose(self) -> PlainTensor:
        """A copy with the dimensions in reverse order."""
        return PlainTensor(self._array.T, dtype=self._dtype)

    def transpose_(self) -> Self:
        self._array = self._array.T.copy()
        return self

    @classmethod
    def load(cls, data: bytes, dtype: str = "float") -> PlainTensor:
        """From `serialize`'s bytes; TypeError unless they are bytes, ValueError unless they are a plain tensor."""
        from hetorch.tenseal.serialisation import load_plain_tensor

        if not isinstance(data, bytes):
            raise OperandTypeError(f"Invalid input types: vector: {type(data)}")
        _type_of(dtype)
        return cls(load_plain_tensor(data, dtype), dtype=dtype)

    def serialize(self) -> bytes:
        """TenSEAL's bytes of this tensor."""
        from hetorch.tenseal.serialisation import dump_plain_tensor

        return dump_plain_tensor(self._array)
