"""Encrypted tensors of either scheme: one ciphertext for each element, or for each element of a batch's samples."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.interop.tenseal_format.tensors import MAX_DIMENSIONS
from hetorch.tenseal.abstract import AbstractTensor
from hetorch.tenseal.batched_ops import Each
from hetorch.tenseal.errors import BroadcastError, OperandTypeError
from hetorch.tenseal.operands import is_scalar, plain_array
from hetorch.tenseal.plain import shape_of
from hetorch.tenseal.polynomial import coefficients_of, evaluate, raised, whole_number

Elements = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class TensorData:
    """`elements`: an array of ciphertexts in the tensor's shape, at `scale` under CKKS. With a batch, slot i
    of each belongs to sample i."""

    scale: float | None
    elements: Elements
    batch: int | None

    @classmethod
    def of(
        cls, scale: float | None, elements: Sequence[Any], shape: tuple[int, ...], batch: int | None
    ) -> TensorData:
        """Elements in row-major order."""
        flat = np.empty(len(elements), dtype=object)
        flat[:] = elements
        return cls(scale, flat.reshape(checked_shape(shape)), batch)

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the batch."""
        return self.elements.shape


def checked_shape(shape: object) -> tuple[int, ...]:
    """InputError for more dimensions than numpy walks, with a batch's."""
    sizes = shape_of(shape)
    if len(sizes) > MAX_DIMENSIONS:
        raise InputError(f"an encrypted tensor has at most {MAX_DIMENSIONS} dimensions, got {len(sizes)}")
    return sizes


class ElementTensor(AbstractTensor):
    """What the tensors of both schemes share: the class of `_arithmetic` has the operations on single elements."""

    _dtype: ClassVar[str]

    @property
    @abstractmethod
    def _arithmetic(self) -> Any:
        """Operations on elements under the context's present switches."""

    @property
    def shape(self) -> list[int]:
        """The sizes of the dimensions, without that of a batch; [] before a context is linked."""
        if self._lazy is not None:
            return []
        return list(self._held.shape)

    @property
    @abstractmethod
    def _many(self) -> Each:
        """The same on many elements."""

    def _with(self, elements: Any, batch: int | None) -> Self:
        return self._like(TensorData(self._data.scale, _as_array(elements), batch))

    def _each(self, operation: Callable[[Any, Any], Any]) -> Self:
        arithmetic = self._arithmetic
        result = np.empty(self._held.shape, dtype=object)
        for index, element in np.ndenumerate(self._held.elements):
            result[index] = operation(arithmetic, element)
        return self._with(result, self._held.batch)

    # Element-wise operations

    def _operand(self, other: Any) -> Any:
        if isinstance(other, type(self)):
            if not self.context().data.equals(other.context().data):
                raise InputError("can't compute on tensors that have different contexts")
            return other
        array = plain_array(other, self._dtype)
        if not np.all(np.isfinite(array)):
            raise InputError("values must be finite")
        return array

    def _scalar(self, value: Any) -> Any:
        return value

    def _combine(self, other: Any, encrypted: Any, constants: Any) -> Self:
        """Each with each: `encrypted` and `constants` are methods of Each."""
        many = self._many
        batch = self._held.batch
        if is_scalar(other):
            elements = self._flat()
            value = many.arithmetic.number(self._scalar(other))
            return self._shaped(constants(many, elements, [value] * len(elements)), self._held.shape, batch)
        operand = self._operand(other)
        if not isinstance(operand, type(self)):
            left, right = _broadcast(self._held.elements, operand)
            values = [many.arithmetic.number(value) for value in right.ravel().tolist()]
            return self._shaped(constants(many, list(left.ravel()), values), left.shape, batch)
        # A tensor without a batch holds its values in all slots, so it goes with any sample.
        batch = batch if batch is not None else operand._held.batch
        if None not in (self._held.batch, operand._held.batch) and self._held.batch != operand._held.batch:
            raise InputError(f"the batches differ: {self._held.batch} and {operand._held.batch} samples")
        left, right = _broadcast(self._held.elements, operand._held.elements)
        return self._shaped(encrypted(many, list(left.ravel()), list(right.ravel())), left.shape, batch)

    def _flat(self) -> list[Any]:
        return list(self._held.elements.ravel())

    def _shaped(self, elements: Sequence[Any], shape: tuple[int, ...], batch: int | None) -> Self:
        """Elements in row-major order."""
        return self._like(TensorData.of(self._data.scale, elements, shape, batch))

    def add(self, other: Any) -> Self:
        """Element-wise sum."""
        return self._combine(
            other, lambda many, a, b: many.add(a, b), lambda many, a, values: many.add_constants(a, values)
        )

    def sub(self, other: Any) -> Self:
        """Element-wise difference."""
        return self._combine(
            other,
            lambda many, a, b: many.subtract(a, b),
            lambda many, a, values: many.add_constants(a, [-value for value in values]),
        )

    def mul(self, other: Any) -> Self:
        """Element-wise product; one level."""
        return self._combine(
            other,
            lambda many, a, b: many.sums_of_products(a, b, 1),
            lambda many, a, values: many.sums_of_constants(a, values, 1),
        )

    def neg(self) -> Self:
        return self._shaped(self._many.negate(self._flat()), self._held.shape, self._held.batch)

    def square(self) -> Self:
        """Each element's square; one level."""
        return self._shaped(self._many.square(self._flat()), self._held.shape, self._held.batch)

    def pow(self, power: int) -> Self:
        """Each element to a whole power of at least 0; ceil(log2(power)) levels. TypeError for other powers."""
        number = whole_number(power)
        return self._constant(1) if number == 0 else raised(self, number)

    def polyval(self, coefficients: list[float] | list[int]) -> Self:
        """sum_i coefficients[i] x^i of each element; as many levels as the deepest term has by itself."""
        values = self._coefficients(coefficients)
        if len(values) < 2:
            return self._constant(values[0] if values else 0)
        return evaluate(self, values)

    def _coefficients(self, coefficients: Any) -> list[Any]:
        return list(coefficients_of(coefficients))

    def _constant(self, value: Any) -> Self:
        """Fresh encryptions of one number in this shape."""
        return self._each(lambda ops, _: ops.encrypt_constant(ops.number(value)))

    # Sums and products over dimensions

    def sum(self, axis: int = 0) -> Self:
        """Over a dimension, a batch's counted as the first; no level. ValueError if there is no such dimension."""
        number = whole_number(axis)
        data = self._held
        if data.batch is not None:
            if number == 0:
                return self.sum_batch()
            number -= 1
        if number >= data.elements.ndim:
            raise InputError(f"invalid axis: {axis} of shape {self.shape}")
        if data.shape[number] == 0:
            raise InputError("can't sum over an empty dimension")
        many = self._many
        parts = [list(_as_array(part).ravel()) for part in np.moveaxis(data.elements, number, 0)]
        total = parts[0]
        for part in parts[1:]:
            total = many.add(total, part)
        shape = (*data.shape[:number], *data.shape[number + 1 :])
        return self._shaped(total, shape, data.batch)

    def sum_batch(self) -> Self:
        """Over the batch, by rotations; no level. ValueError without a batch or without Galois keys."""
        count = self._held.batch
        if count is None:
            raise InputError("unsupported operation: the tensor has no batch")
        result = self._each(lambda ops, a: ops.window_sum(a, count))
        return self._with(result._held.elements, None)

    def sum_batch_(self) -> Self:
        return self._become(self.sum_batch())

    def dot(self, other: Any) -> Self:
        """Numpy's dot for one or two dimensions, with an encrypted or plain tensor; one level.

        As in TenSEAL, a tensor with a batch sums products of one or two dimensions over the batch's dimension.
        """
        if is_scalar(other):
            raise OperandTypeError("dot(): a tensor is expected, got a number")
        operand = self._operand(other)
        left = len(self._held.shape)
        right = len(operand.shape)
        if not 1 <= left <= 2 or not 1 <= right <= 2:
            raise InputError("don't support dot operations of more than 2 dimensions, or of less than 1")
        if left == right == 2:
            return self.mm(operand)
        shape = list(operand.shape)
        if self.shape[-1] != shape[0]:
            raise InputError(f"can't perform dot: dimension mismatch, {self.shape} and {shape}")
        if self._held.batch is not None or (
            isinstance(operand, type(self)) and operand._held.batch is not None
        ):
            if left == 1 and right == 2:
                return self.reshape([shape[0], 1]).mul(operand).sum(0)
            return self.mul(operand).sum(left - 1)
        rows = self._held.elements.reshape(-1, shape[0])
        columns = (operand._held.elements if isinstance(operand, type(self)) else operand).reshape(
            shape[0], -1
        )
        return self._with(self._matrix_product(rows, columns).reshape([*self.shape[:-1], *shape[1:]]), None)

    def dot_(self, other: Any) -> Self:
        return self._become(self.dot(other))

    def mm(self, other: Any) -> Self:
        """The product of two matrices, the right one encrypted or plain; one level. ValueError for other shapes."""
        if is_scalar(other):
            raise OperandTypeError("mm(): a tensor is expected, got a number")
        operand = self._operand(other)
        if len(self._held.shape) != 2:
            raise InputError(f"this tensor isn't a matrix: shape {self.shape}")
        if len(operand.shape) != 2:
            raise InputError(f"operand tensor isn't a matrix: shape {list(operand.shape)}")
        if self.shape[1] != operand.shape[0] or 0 in (*self.shape, *operand.shape):
            raise InputError(f"can't multiply matrices: shapes {self.shape} and {list(operand.shape)}")
        batch = self._held.batch
        if isinstance(operand, type(self)):
            batch = batch if batch is not None else operand._held.batch
            operand = operand._held.elements
        return self._with(self._matrix_product(self._held.elements, operand), batch)

    def _matrix_product(self, left: Elements, right: NDArray[Any]) -> Elements:
        inner = left.shape[1]
        a = [element for row in left for _ in range(right.shape[1]) for element in row]
        b = [factor for _ in left for column in right.T for factor in column]
        many = self._many
        sums = (
            many.sums_of_products(a, b, inner)
            if right.dtype == object
            else many.sums_of_constants(a, b, inner)
        )
        return TensorData.of(None, sums, (left.shape[0], right.shape[1]), None).elements

    def mm_(self, other: Any) -> Self:
        return self._become(self.mm(other))

    def __matmul__(self, other: Any) -> Self:
        return self.mm(other)

    def __imatmul__(self, other: Any) -> Self:
        return self.mm_(other)

    # Shapes: no ciphertext changes

    def __getitem__(self, item: Any) -> Self:
        """Dimensions cut by an index or a slice (one for the first, or a tuple of slices).

        An index keeps its dimension. IndexError beyond the shape. A batch's dimension is not counted.
        """
        shape = self._held.shape
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
        return self._with(self._held.elements[cuts], self._held.batch)

    def reshape(self, shape: list[int]) -> Self:
        """Another shape of as many elements, without the batch; ValueError if their number differs."""
        sizes = checked_shape(shape)
        if math.prod(sizes) != self._held.elements.size:
            raise InputError(f"invalid reshape input: shape {self.shape} to {list(sizes)}")
        return self._with(self._held.elements.reshape(sizes), self._held.batch)

    def reshape_(self, shape: list[int]) -> Self:
        return self._become(self.reshape(shape))

    def broadcast(self, shape: list[int]) -> Self:
        """By numpy's rules; RuntimeError (and ValueError) where they do not allow it."""
        sizes = checked_shape(shape)
        try:
            return self._with(np.broadcast_to(self._held.elements, sizes), self._held.batch)
        except ValueError:
            raise BroadcastError(
                f"Incompatible dimension of arrays: shape {self.shape} cannot become {list(sizes)}"
            ) from None

    def broadcast_(self, shape: list[int]) -> Self:
        return self._become(self.broadcast(shape))

    def transpose(self) -> Self:
        """The dimensions in reverse order, without the batch's."""
        return self._with(self._held.elements.T, self._held.batch)

    def transpose_(self) -> Self:
        return self._become(self.transpose())


def _as_array(elements: Any) -> Elements:
    """An element by itself is an array of no dimensions."""
    if isinstance(elements, np.ndarray):
        return elements
    array = np.empty((), dtype=object)
    array[()] = elements
    return array


def _broadcast(left: Elements, right: NDArray[Any]) -> tuple[Elements, NDArray[Any]]:
    try:
        shape = np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        raise BroadcastError(
            f"Incompatible dimension of arrays: shapes {list(left.shape)} and {list(right.shape)}"
        ) from None
    return np.broadcast_to(left, shape), np.broadcast_to(right, shape)
