"""Encrypted tensors of either scheme: one ciphertext for each element, or for each element of a batch's samples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from hetorch.tenseal.names.abstract_tensor import AbstractTensor
from hetorch.tenseal.names.operands import plain_array
from hetorch.tenseal.names.polynomial import coefficients_of, evaluate, evaluate_by_terms, raised
from hetorch.tenseal.scheme.arguments import is_scalar, whole_number
from hetorch.tenseal.scheme.batched_ops import OneByOne
from hetorch.tenseal.scheme.errors import incompatible, refusal
from hetorch.tenseal.scheme.tensor_data import Elements, TensorData, as_array, broadcast_array, broadcast_pair


class ElementTensor(AbstractTensor):
    """The base of both schemes' tensors; `_many` has the scheme's operations on lists of elements.

    The dimension of a batch is the first one where results and axes are concerned, and is not counted in `shape`.
    """

    _dtype: ClassVar[str]

    @property
    @abstractmethod
    def _many(self) -> OneByOne:
        """The operations on lists of elements, under the context's present switches."""

    def _take(self, value: Any) -> None:
        if not isinstance(value, TensorData):
            raise refusal(TypeError, f"value must be of type {TensorData}", f"got {type(value).__name__}")
        self._data = value

    @property
    def shape(self) -> list[int]:
        """The sizes of the dimensions, without that of a batch; [] before a context is linked."""
        if self._lazy is not None:
            return []
        return list(self._held.shape)

    def _flat(self) -> list[Any]:
        return list(self._held.elements.ravel())

    def _shaped(self, elements: Sequence[Any], shape: tuple[int, ...], batch: int | None) -> Self:
        """Return a tensor of `shape` with these elements in row-major order."""
        return self._like(TensorData.of(self._data.scale, elements, shape, batch))

    def _each(self, operation: Callable[[Any, Any], Any]) -> Self:
        arithmetic = self._many.arithmetic
        elements = [operation(arithmetic, element) for element in self._flat()]
        return self._shaped(elements, self._held.shape, self._held.batch)

    # Element-wise operations

    def _operand(self, other: Any) -> Any:
        if isinstance(other, type(self)):
            if not self.context().data.equals(other.context().data):
                raise refusal(ValueError, "can't compute on tensors that have different contexts")
            return other
        return plain_array(other, self._dtype)

    @abstractmethod
    def _scalar(self, value: Any, function: str) -> Any:
        """Return a number as the scheme's operations take it; TypeError, which names `function`, for others."""

    def _combine(self, other: Any, function: str, encrypted: Any, constants: Any) -> Self:
        """Combine each element with each of `other`'s.

        Args:
            other: an operand of any form.
            function: TenSEAL's compiled function, for messages.
            encrypted: the operation of OneByOne for encrypted operands.
            constants: the operation of OneByOne for plain ones.
        """
        if is_scalar(other):
            value = self._scalar(other, function)
            elements = self._flat()
            values = [value] * len(elements)
            return self._shaped(constants(self._many, elements, values), self._held.shape, self._held.batch)
        operand = self._operand(other)
        many = self._many
        batch = self._held.batch
        if not isinstance(operand, type(self)):
            left, right = broadcast_pair(self._held.elements, operand)
            return self._shaped(
                constants(many, list(left.ravel()), right.ravel().tolist()), left.shape, batch
            )
        # A tensor without a batch holds its values in all slots, so it goes with any sample.
        batch = batch if batch is not None else operand._held.batch
        if None not in (self._held.batch, operand._held.batch) and self._held.batch != operand._held.batch:
            raise refusal(
                ValueError, f"the batches differ: {self._held.batch} and {operand._held.batch} samples"
            )
        left, right = broadcast_pair(self._held.elements, operand._held.elements)
        return self._shaped(encrypted(many, list(left.ravel()), list(right.ravel())), left.shape, batch)

    def add(self, other: Any) -> Self:
        """Return the element-wise sum."""
        return self._combine(
            other,
            "__add__",
            lambda many, a, b: many.add(a, b),
            lambda many, a, values: many.add_constants(a, values),
        )

    def sub(self, other: Any) -> Self:
        """Return the element-wise difference."""
        return self._combine(
            other,
            "__sub__",
            lambda many, a, b: many.subtract(a, b),
            lambda many, a, values: many.add_constants(a, [-value for value in values]),
        )

    def mul(self, other: Any) -> Self:
        """Return the element-wise product; one level."""
        return self._combine(
            other,
            "__mul__",
            lambda many, a, b: many.sums_of_products(a, b, 1),
            lambda many, a, values: many.sums_of_constants(a, values, 1),
        )

    def neg(self) -> Self:
        return self._shaped(self._many.negate(self._flat()), self._held.shape, self._held.batch)

    def square(self) -> Self:
        """Return each element's square; one level."""
        return self._shaped(self._many.square(self._flat()), self._held.shape, self._held.batch)

    def pow(self, power: int) -> Self:
        """Return each element to a whole power of at least 0; ceil(log2(power)) levels. TypeError for other powers."""
        number = whole_number(power, "pow")
        return self._constant(1) if number == 0 else raised(self, number)

    def polyval(self, coefficients: list[float] | list[int]) -> Self:
        """Return sum_i coefficients[i] x^i of each element; as many levels as the deepest term has by itself.

        With auto_rescale or auto_mod_switch off the terms rarely meet under CKKS: ValueError, as in TenSEAL.
        """
        values = self._coefficients(coefficients)
        if len(values) < 2:
            return self._constant(values[0] if values else 0)
        if self._all_steps:
            return evaluate(self, values)
        return evaluate_by_terms(self, self._constant(values[0]), values)

    @property
    def _all_steps(self) -> bool:
        """True if products meet by themselves: under BFV always."""
        self._link_check()
        return bool(self._context.auto_rescale and self._context.auto_mod_switch)

    def _coefficients(self, coefficients: Any) -> list[Any]:
        return list(coefficients_of(coefficients))

    def _constant(self, value: Any) -> Self:
        """Return fresh encryptions of one number in this shape."""
        return self._each(lambda ops, _: ops.encrypt_constant(value))

    # Sums and products over dimensions

    def sum(self, axis: int = 0) -> Self:
        """Sum over a dimension, a batch's counted as the first; no level. ValueError without such a dimension."""
        number = whole_number(axis, "sum", 64)
        data = self._held
        if data.batch is not None:
            if number == 0:
                return self.sum_batch()
            number -= 1
        if number >= data.elements.ndim:
            raise refusal(ValueError, "invalid axis", f"{axis} of shape {self.shape}")
        if data.shape[number] == 0:
            raise refusal(ValueError, "can't sum over an empty dimension")
        many = self._many
        parts = [list(as_array(part).ravel()) for part in np.moveaxis(data.elements, number, 0)]
        total = parts[0]
        for part in parts[1:]:
            total = many.add(total, part)
        shape = (*data.shape[:number], *data.shape[number + 1 :])
        return self._shaped(total, shape, data.batch)

    def sum_batch(self) -> Self:
        """Sum over the batch, by rotations; no level. ValueError without a batch or without Galois keys."""
        count = self._held.batch
        if count is None:
            raise refusal(ValueError, "unsupported operation", "the tensor has no batch")
        result = self._each(lambda ops, a: ops.window_sum(a, count))
        return self._shaped(result._flat(), self._held.shape, None)

    def sum_batch_(self) -> Self:
        return self._become(self.sum_batch())

    def dot(self, other: Any) -> Self:
        """Return numpy's dot for one or two dimensions, with an encrypted or plain tensor; one level.

        As in TenSEAL, a tensor with a batch sums products of one or two dimensions over the batch's dimension.
        """
        if is_scalar(other):
            raise incompatible("dot", "a tensor is expected, got a number")
        operand = self._operand(other)
        left = len(self._held.shape)
        right = len(operand.shape)
        if not 1 <= left <= 2 or not 1 <= right <= 2:
            raise refusal(
                ValueError, "don't support dot operations of more than 2 dimensions", "nor of less than 1"
            )
        if left == right == 2:
            return self.mm(operand)
        shape = list(operand.shape)
        if left == right == 1 and self.shape[0] != shape[0]:
            broadcast_array(self._held.elements, (shape[0],))
        if self.shape[-1] != shape[0]:
            raise refusal(ValueError, "can't perform dot: dimension mismatch", f"{self.shape} and {shape}")
        encrypted = isinstance(operand, type(self))
        if self._held.batch is not None or (encrypted and operand._held.batch is not None):
            if left == 1 and right == 2:
                return self.reshape([shape[0], 1]).mul(operand).sum(0)
            return self.mul(operand).sum(left - 1)
        rows = self._held.elements.reshape(-1, shape[0])
        columns = (operand._held.elements if encrypted else operand).reshape(shape[0], -1)
        return self._shaped(self._matrix_product(rows, columns), (*self.shape[:-1], *shape[1:]), None)

    def dot_(self, other: Any) -> Self:
        return self._in_place(self.dot, "dot_", other)

    def mm(self, other: Any) -> Self:
        """Return the product with a matrix, encrypted or plain; one level. ValueError for other shapes."""
        if is_scalar(other):
            raise incompatible("mm", "a tensor is expected, got a number")
        operand = self._operand(other)
        if len(self._held.shape) != 2:
            raise refusal(ValueError, "this tensor isn't a matrix", f"shape {self.shape}")
        if len(operand.shape) != 2:
            raise refusal(ValueError, "operand tensor isn't a matrix", f"shape {list(operand.shape)}")
        if self.shape[1] != operand.shape[0] or 0 in (*self.shape, *operand.shape):
            raise refusal(
                ValueError, "can't multiply matrices", f"shapes {self.shape} and {list(operand.shape)}"
            )
        batch = self._held.batch
        if isinstance(operand, type(self)):
            batch = batch if batch is not None else operand._held.batch
            operand = operand._held.elements
        left = self._held.elements
        return self._shaped(self._matrix_product(left, operand), (left.shape[0], operand.shape[1]), batch)

    def _matrix_product(self, left: Elements, right: NDArray[Any]) -> list[Any]:
        """Return the product of two matrices, the right one of ciphertexts or numbers, in row-major order."""
        inner = left.shape[1]
        a = [element for row in left for _ in range(right.shape[1]) for element in row]
        b = [factor for _ in left for column in right.T for factor in column]
        if right.dtype == object:
            return self._many.sums_of_products(a, b, inner)
        return self._many.sums_of_constants(a, b, inner)

    def mm_(self, other: Any) -> Self:
        return self._in_place(self.mm, "mm_", other)

    def __matmul__(self, other: Any) -> Self:
        return self.mm(other)

    def __imatmul__(self, other: Any) -> Self:
        return self.mm_(other)

    # Shapes: no ciphertext changes

    def __getitem__(self, item: Any) -> Self:
        """Return the part that an int (for the first dimension), a slice or a tuple of slices selects.

        An int keeps its dimension. IndexError beyond the shape. A batch's dimension is not counted.
        """
        return self._like(self._held.cut(item))

    def reshape(self, shape: list[int]) -> Self:
        """Return another shape of as many elements, without the batch; ValueError if their number differs."""
        return self._like(self._held.reshaped(shape))

    def reshape_(self, shape: list[int]) -> Self:
        return self._in_place(self.reshape, "reshape_", shape)

    def broadcast(self, shape: list[int]) -> Self:
        """Broadcast to `shape` by numpy's rules; RuntimeError (and ValueError) where these forbid it."""
        return self._like(self._held.broadcast(shape))

    def broadcast_(self, shape: list[int]) -> Self:
        return self._in_place(self.broadcast, "broadcast_", shape)

    def transpose(self) -> Self:
        """Return the dimensions in reverse order, without the batch's."""
        return self._like(self._held.transposed())

    def transpose_(self) -> Self:
        return self._become(self.transpose())
