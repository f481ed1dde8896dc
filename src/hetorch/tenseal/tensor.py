"""Encrypted tensors: one ciphertext for each element, or for each element of a batch's samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.native import Ciphertext
from hetorch.errors import InputError
from hetorch.tenseal.abstract import AbstractTensor
from hetorch.tenseal.ckks_context import CkksContext
from hetorch.tenseal.context import Context
from hetorch.tenseal.element import Arithmetic, Element
from hetorch.tenseal.errors import BroadcastError, OperandTypeError
from hetorch.tenseal.keys import SecretKey
from hetorch.tenseal.operands import is_scalar, plain_array
from hetorch.tenseal.plain import PlainTensor, shape_of
from hetorch.tenseal.polynomial import coefficients_of, evaluate, whole_number, raised

Elements = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class TensorData:
    """`elements`: an array of Element in the tensor's shape. With a batch, slot i of each belongs to sample i."""

    scale: float
    elements: Elements
    batch: int | None

    @classmethod
    def of(
        cls, scale: float, elements: Sequence[Element], shape: tuple[int, ...], batch: int | None
    ) -> TensorData:
        """Elements in row-major order."""
        flat = np.empty(len(elements), dtype=object)
        flat[:] = elements
        return cls(scale, flat.reshape(shape), batch)

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the batch."""
        return self.elements.shape


class CKKSTensor(AbstractTensor):
    """A tensor of real numbers, encrypted element by element; with `batch` the first dimension goes into the slots.

    Operands are broadcast by numpy's rules. Products relinearise, rescale (one level) and meet at the lower level by
    themselves, as the context's switches say; a sum of products does so once. ValueError for wrong shapes (RuntimeError
    too where broadcasting fails), missing keys, levels or scales; TypeError for what is not an array of numbers.
    """

    def __init__(
        self,
        context: Context | None = None,
        tensor: Any = None,
        scale: float | None = None,
        batch: bool = False,
        data: TensorData | None = None,
    ) -> None:
        self._lazy = None
        self._context = context.data if isinstance(context, Context) else None
        if data is not None:
            self._take(data)
            return
        if not isinstance(context, Context):
            raise OperandTypeError("context must be a tenseal.Context")
        if not isinstance(context.data, CkksContext):
            raise InputError("a CKKS tensor needs a context of SCHEME_TYPE.CKKS")
        plain = tensor if isinstance(tensor, PlainTensor) else PlainTensor(tensor, dtype="float")
        size = context.global_scale if scale is None else float(scale)
        array = np.asarray(plain.array, dtype=np.float64)
        self._data = _encrypt(Arithmetic(context.data, size), array, batch)

    def _take(self, value: Any) -> None:
        if not isinstance(value, TensorData):
            raise OperandTypeError(f"value must be of type TensorData, got {type(value).__name__}")
        self._data = value

    # What it is

    def scale(self) -> float:
        """The scale that the tensor was encrypted at."""
        return float(self.data.scale)

    @property
    def shape(self) -> list[int]:
        """The sizes of the dimensions, without that of a batch."""
        return list(self.data.shape)

    def ciphertext(self) -> list[Ciphertext]:
        """The core's ciphertexts in row-major order."""
        return [element.core for element in self.data.elements.ravel()]

    def decrypt(self, secret_key: SecretKey | None = None) -> PlainTensor:
        """The values, a batch's dimension first, for the key holder alone; ValueError without a key."""
        key = self._secret_key(secret_key)
        data = self.data
        count = 1 if data.batch is None else data.batch
        flat = [key.decrypt(element.core)[:count] for element in data.elements.ravel()]
        values = np.array(flat).reshape(*data.shape, count)
        values = values[..., 0] if data.batch is None else np.moveaxis(values, -1, 0)
        return PlainTensor(values, dtype="float")

    def _parse(self, data: bytes) -> None:
        from hetorch.tenseal.serialisation import load_tensor

        self._data = load_tensor(self._context, data)

    def _dump(self) -> bytes:
        from hetorch.tenseal.serialisation import dump_tensor

        return dump_tensor(self._context, self.data)

    @property
    def _arithmetic(self) -> Arithmetic:
        return Arithmetic(self._context, self.data.scale)

    def _with(self, elements: Any, batch: int | None) -> CKKSTensor:
        array = np.empty((), dtype=object) if isinstance(elements, Element) else elements
        if isinstance(elements, Element):
            array[()] = elements
        return self._like(TensorData(self._data.scale, array, batch))

    def _each(self, operation: Callable[[Arithmetic, Element], Element]) -> CKKSTensor:
        arithmetic = self._arithmetic
        result = np.empty(self.data.shape, dtype=object)
        for index, element in np.ndenumerate(self.data.elements):
            result[index] = operation(arithmetic, element)
        return self._with(result, self.data.batch)

    # Element-wise operations

    def _operand(self, other: Any) -> Any:
        if isinstance(other, CKKSTensor):
            if not self._context.equals(other.context().data):
                raise InputError("can't compute on tensors that have different contexts")
            return other
        array = plain_array(other)
        if not np.all(np.isfinite(array)):
            raise InputError("values must be finite")
        return array

    def _combine(self, other: Any, encrypted: Any, constant: Any) -> CKKSTensor:
        arithmetic = self._arithmetic
        if is_scalar(other):
            value = float(other)
            return self._each(lambda arithmetic, element: constant(arithmetic, element, value))
        operand = self._operand(other)
        batch = self.data.batch
        if isinstance(operand, CKKSTensor):
            operation, right = encrypted, operand.data.elements
            # A tensor without a batch holds its values in all slots, so it goes with any sample.
            batch = batch if batch is not None else operand.data.batch
            if None not in (self.data.batch, operand.data.batch) and self.data.batch != operand.data.batch:
                raise InputError(f"the batches differ: {self.data.batch} and {operand.data.batch} samples")
        else:
            operation, right = constant, operand
        left, right = _broadcast(self.data.elements, right)
        result = np.empty(left.shape, dtype=object)
        for index in np.ndindex(left.shape):
            value = right[index]
            result[index] = operation(
                arithmetic, left[index], value if isinstance(value, Element) else float(value)
            )
        return self._with(result, batch)

    def add(self, other: Any) -> CKKSTensor:
        return self._combine(other, Arithmetic.add, Arithmetic.add_constant)

    def sub(self, other: Any) -> CKKSTensor:
        return self._combine(
            other, Arithmetic.subtract, lambda arithmetic, element, value: arithmetic.add_constant(element, -value)
        )

    def mul(self, other: Any) -> CKKSTensor:
        """Element-wise product; one level."""
        return self._combine(other, Arithmetic.multiply, Arithmetic.multiply_constant)

    def neg(self) -> CKKSTensor:
        return self._each(Arithmetic.negate)

    def square(self) -> CKKSTensor:
        """Each element's square; one level."""
        return self._each(Arithmetic.square)

    def pow(self, power: int) -> CKKSTensor:
        """Each element to a whole power of at least 0; ceil(log2(power)) levels. TypeError for other powers."""
        number = whole_number(power)
        return self._constant(1.0) if number == 0 else raised(self, number)

    def polyval(self, coefficients: list[float] | list[int]) -> CKKSTensor:
        """sum_i coefficients[i] x^i of each element; as many levels as the deepest term has by itself."""
        values = coefficients_of(coefficients)
        if len(values) < 2:
            return self._constant(values[0] if values else 0.0)
        return evaluate(self, values)

    def _constant(self, value: float) -> CKKSTensor:
        """Fresh encryptions of one number in this shape."""
        return self._each(lambda arithmetic, _: arithmetic.encrypt_constant(value))

    # Sums and products over dimensions

    def sum(self, axis: int = 0) -> CKKSTensor:
        """Over a dimension, counted with the batch's as the first; no level. ValueError if there is no such dimension."""
        number = whole_number(axis)
        data = self.data
        if data.batch is not None:
            if number == 0:
                return self.sum_batch()
            number -= 1
        if number >= data.elements.ndim:
            raise InputError(f"invalid axis: {axis} of shape {self.shape}")
        if data.shape[number] == 0:
            raise InputError("can't sum over an empty dimension")
        arithmetic = self._arithmetic
        moved = np.moveaxis(data.elements, number, 0)
        total = moved[0]
        for part in moved[1:]:
            total = _map(arithmetic.add, total, part)
        return self._with(total, data.batch)

    def sum_batch(self) -> CKKSTensor:
        """Over the batch, by rotations; no level. ValueError without a batch or without Galois keys."""
        count = self.data.batch
        if count is None:
            raise InputError("unsupported operation: the tensor has no batch")
        result = self._each(lambda arithmetic, element: arithmetic.window_sum(element, count))
        return self._with(_map(lambda e: e, result.data.elements), None)

    def sum_batch_(self) -> CKKSTensor:
        return self._become(self.sum_batch())

    def dot(self, other: Any) -> CKKSTensor:
        """numpy's dot for one or two dimensions, with an encrypted or plain tensor; one level.

        As in TenSEAL, a tensor with a batch sums products of one or two dimensions over the batch's dimension.
        """
        if is_scalar(other):
            raise OperandTypeError("dot(): a tensor is expected, got a number")
        operand = self._operand(other)
        left = len(self.data.shape)
        right = len(operand.shape)
        if not 1 <= left <= 2 or not 1 <= right <= 2:
            raise InputError("don't support dot operations of more than 2 dimensions, or of less than 1")
        if left == right == 2:
            return self.mm(operand)
        shape = list(operand.shape)
        if self.shape[-1] != shape[0]:
            raise InputError(f"can't perform dot: dimension mismatch, {self.shape} and {shape}")
        if self.data.batch is not None or (isinstance(operand, CKKSTensor) and operand.data.batch is not None):
            if left == 1 and right == 2:
                return self.reshape([shape[0], 1]).mul(operand).sum(0)
            return self.mul(operand).sum(left - 1)
        rows = self.data.elements.reshape(-1, shape[0])
        columns = (operand.data.elements if isinstance(operand, CKKSTensor) else operand).reshape(shape[0], -1)
        return self._with(self._matrix_product(rows, columns).reshape([*self.shape[:-1], *shape[1:]]), None)

    def dot_(self, other: Any) -> CKKSTensor:
        return self._become(self.dot(other))

    def mm(self, other: Any) -> CKKSTensor:
        """The product of two matrices, the right one encrypted or plain; one level. ValueError for other shapes."""
        if is_scalar(other):
            raise OperandTypeError("mm(): a tensor is expected, got a number")
        operand = self._operand(other)
        if len(self.data.shape) != 2:
            raise InputError(f"this tensor isn't a matrix: shape {self.shape}")
        if len(operand.shape) != 2:
            raise InputError(f"operand tensor isn't a matrix: shape {list(operand.shape)}")
        if self.shape[1] != operand.shape[0] or 0 in (*self.shape, *operand.shape):
            raise InputError(f"can't multiply matrices: shapes {self.shape} and {list(operand.shape)}")
        batch = self.data.batch
        if isinstance(operand, CKKSTensor):
            batch = batch if batch is not None else operand.data.batch
            operand = operand.data.elements
        return self._with(self._matrix_product(self.data.elements, operand), batch)

    def _matrix_product(self, left: Elements, right: NDArray[Any]) -> Elements:
        arithmetic = self._arithmetic
        result = np.empty((left.shape[0], right.shape[1]), dtype=object)
        for row in range(left.shape[0]):
            terms = arithmetic.level_all(list(left[row]))
            for column in range(right.shape[1]):
                factors = list(right[:, column])
                result[row, column] = (
                    arithmetic.sum_of_products(terms, factors)
                    if isinstance(factors[0], Element)
                    else arithmetic.sum_of_constants(terms, factors)
                )
        return result

    def mm_(self, other: Any) -> CKKSTensor:
        return self._become(self.mm(other))

    def __matmul__(self, other: Any) -> CKKSTensor:
        return self.mm(other)

    def __imatmul__(self, other: Any) -> CKKSTensor:
        return self.mm_(other)

    # Shapes: no ciphertext changes

    def __getitem__(self, item: Any) -> CKKSTensor:
        """Of dimensions cut by an index or a slice (one for the first, or a tuple of slices); an index keeps its dimension.

        IndexError beyond the shape. A batch's dimension is not counted.
        """
        shape = self.data.shape
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
        return self._with(self.data.elements[cuts], self.data.batch)

    def reshape(self, shape: list[int]) -> CKKSTensor:
        """Another shape of as many elements, without the batch; ValueError if their number differs."""
        sizes = shape_of(shape)
        if math.prod(sizes) != self.data.elements.size:
            raise InputError(f"invalid reshape input: shape {self.shape} to {list(sizes)}")
        return self._with(self.data.elements.reshape(sizes), self.data.batch)

    def reshape_(self, shape: list[int]) -> CKKSTensor:
        return self._become(self.reshape(shape))

    def broadcast(self, shape: list[int]) -> CKKSTensor:
        """By numpy's rules; RuntimeError (and ValueError) where they do not allow it."""
        sizes = shape_of(shape)
        try:
            return self._with(np.broadcast_to(self.data.elements, sizes), self.data.batch)
        except ValueError:
            raise BroadcastError(
                f"Incompatible dimension of arrays: shape {self.shape} cannot become {list(sizes)}"
            ) from None

    def broadcast_(self, shape: list[int]) -> CKKSTensor:
        return self._become(self.broadcast(shape))

    def transpose(self) -> CKKSTensor:
        """The dimensions in reverse order, without the batch's."""
        return self._with(self.data.elements.T, self.data.batch)

    def transpose_(self) -> CKKSTensor:
        return self._become(self.transpose())


def _map(operation: Callable[..., Element], *arrays: Any) -> Elements:
    """Element by element; an Element by itself is an array of no dimensions."""
    wrapped = []
    for array in arrays:
        if isinstance(array, Element):
            single = np.empty((), dtype=object)
            single[()] = array
            array = single
        wrapped.append(array)
    result = np.empty(wrapped[0].shape, dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = operation(*(array[index] for array in wrapped))
    return result


def _broadcast(left: Elements, right: NDArray[Any]) -> tuple[Elements, NDArray[Any]]:
    try:
        shape = np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        raise BroadcastError(
            f"Incompatible dimension of arrays: shapes {list(left.shape)} and {list(right.shape)}"
        ) from None
    return np.broadcast_to(left, shape), np.broadcast_to(right, shape)


def _encrypt(arithmetic: Arithmetic, array: NDArray[np.float64], batch: bool) -> TensorData:
    if not np.all(np.isfinite(array)):
        raise InputError("values must be finite")
    if array.size == 0:
        raise InputError("Attempting to encrypt an empty tensor")
    if not batch:
        elements = [arithmetic.encrypt_constant(float(value)) for value in array.ravel()]
        return TensorData.of(arithmetic.scale, elements, array.shape, None)
    if array.ndim == 0:
        raise InputError("invalid dimension for batching: a single number has none")
    slot_count = arithmetic.context.parameters.slot_count
    samples = array.shape[0]
    if samples > slot_count:
        raise InputError(
            f"can't encrypt vectors of this size, please use a larger polynomial modulus degree: {samples} samples, "
            f"{slot_count} slots"
        )
    padded = np.zeros((array[0].size, slot_count))
    padded[:, :samples] = array.reshape(samples, -1).T
    elements = [arithmetic.encrypt(values) for values in padded]
    return TensorData.of(arithmetic.scale, elements, array.shape[1:], samples)
