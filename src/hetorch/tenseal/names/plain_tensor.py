"""N-dimensional tensors in clear, the operands of encrypted ones."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hetorch.engine._native import array_of_reals
from hetorch.errors import WireError
from hetorch.interop.tenseal_format import dump_plain_tensor, load_plain_tensor
from hetorch.tenseal.scheme.arguments import whole_number
from hetorch.tenseal.scheme.errors import refusal
from hetorch.tenseal.scheme.tensor_data import broadcast_array, shape_of

_TYPES = {"float": np.float64, "int": np.int64}


def _type_of(dtype: str) -> Any:
    if dtype not in ("float", "int"):
        raise refusal(ValueError, "wrong dtype, must be either 'float' or 'int'")
    return _TYPES[dtype]


class PlainTensor:
    """A tensor in clear, of doubles ("float") or of 64-bit integers ("int").

    Args:
        tensor: nested lists, an array, or another PlainTensor.
        shape: replaces the shape of `tensor`.
        dtype: "float" or "int".

    Raises:
        TypeError: `tensor` is not a well-formed array of numbers.
        ValueError: the shape does not fit the number of values.
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
            raise refusal(TypeError, "input isn't a well structured tensor", str(error)) from None
        if shape is not None:
            sizes = shape_of(shape, "__init__")
            if math.prod(sizes) != array.size:
                raise refusal(
                    ValueError, "tensor with mismatched shape", f"{array.size} values, shape {list(sizes)}"
                )
            array = array.reshape(sizes)
        self._dtype = dtype
        self._array: NDArray[Any] = array

    @property
    def array(self) -> NDArray[Any]:
        """The values as a numpy array, not a copy of them."""
        return self._array

    @property
    def data(self) -> NDArray[Any]:
        """The wrapped object, a numpy array here."""
        return self._array

    @data.setter
    def data(self, value: NDArray[Any]) -> None:
        if not isinstance(value, np.ndarray) or value.dtype not in (np.float64, np.int64):
            raise refusal(TypeError, "wrong data type")
        self._array = value
        self._dtype = "float" if value.dtype == np.float64 else "int"

    @property
    def raw(self) -> list[float] | list[int]:
        """The values in row-major order."""
        return self._array.ravel().tolist()

    @property
    def dtype(self) -> str:
        """The type of the values, "float" or "int"; setting it converts them, towards zero for "int"."""
        return self._dtype

    @dtype.setter
    def dtype(self, value: str) -> None:
        self._array = self._array.astype(_type_of(value))
        self._dtype = value

    def at(self, index: list[int]) -> int | float:
        """Return the value at a full index; ValueError if that is too short, too long or beyond the shape."""
        where = shape_of(index, "at")
        if len(where) != self._array.ndim:
            raise refusal(
                ValueError,
                "tensor cannot be viewed in the requested format",
                f"{len(where)} indices, {self._array.ndim} dimensions",
            )
        if any(i >= size for i, size in zip(where, self._array.shape, strict=True)):
            raise refusal(ValueError, "invalid dimension index", f"{list(where)} in shape {self.shape}")
        value: int | float = self._array[where].item()
        return value

    @property
    def shape(self) -> list[int]:
        """The sizes of the dimensions; [] for a single number."""
        return list(self._array.shape)

    def strides(self) -> list[int]:
        """Return, for each dimension, the number of values from one index to the next; 0 for a dimension of size 1."""
        shape = self._array.shape
        return [0 if size == 1 else math.prod(shape[axis + 1 :]) for axis, size in enumerate(shape)]

    def empty(self) -> bool:
        return self._array.size == 0

    def size(self) -> int:
        """Return shape[0]; ValueError for a single number, which has no dimension."""
        if self._array.ndim == 0:
            raise refusal(ValueError, "a single number has no first dimension")
        return int(self._array.shape[0])

    def __len__(self) -> int:
        return self.size()

    def tolist(self) -> Any:
        """Return the values as nested lists."""
        return self._array.tolist()

    def batch(self, dim: int) -> list[list[int | float]]:
        """Return one list along dimension `dim` for each index of the others; ValueError without such a dimension."""
        if whole_number(dim, "batch", 64) >= self._array.ndim:
            raise refusal(ValueError, "invalid dimension for batching", f"{dim} of {self._array.ndim}")
        moved = np.moveaxis(self._array, dim, -1)
        lists: list[list[int | float]] = moved.reshape(-1, self._array.shape[dim]).tolist()
        return lists

    def reshape(self, shape: list[int]) -> PlainTensor:
        """Return a copy of another shape; ValueError if the number of values differs."""
        return PlainTensor(self._array, shape=shape, dtype=self._dtype)

    def reshape_(self, shape: list[int]) -> Self:
        sizes = shape_of(shape, "reshape_")
        if math.prod(sizes) != self._array.size:
            raise refusal(
                ValueError, "invalid reshape input", f"{self._array.size} values, shape {list(sizes)}"
            )
        self._array = self._array.reshape(sizes)
        return self

    def broadcast(self, shape: list[int]) -> PlainTensor:
        """Return a copy broadcast to `shape` by numpy's rules; RuntimeError where these forbid it."""
        return PlainTensor(broadcast_array(self._array, shape_of(shape, "broadcast")), dtype=self._dtype)

    def broadcast_(self, shape: list[int]) -> Self:
        self._array = broadcast_array(self._array, shape_of(shape, "broadcast_")).copy()
        return self

    def transpose(self) -> PlainTensor:
        """Return a copy with the dimensions in reverse order."""
        return PlainTensor(self._array.T, dtype=self._dtype)

    def transpose_(self) -> Self:
        self._array = self._array.T.copy()
        return self

    @classmethod
    def load(cls, data: bytes, dtype: str = "float") -> PlainTensor:
        """Return the tensor of `serialize`'s bytes; TypeError unless `data` is bytes, RuntimeError for other bytes."""
        if not isinstance(data, bytes):
            raise refusal(TypeError, f"Invalid input types: vector: {type(data)}")
        _type_of(dtype)
        try:
            return cls(load_plain_tensor(data, integers=dtype == "int"), dtype=dtype)
        except WireError as error:
            raise refusal(RuntimeError, str(error)) from None

    def serialize(self) -> bytes:
        """Return TenSEAL's bytes of this tensor."""
        return dump_plain_tensor(self._array)
