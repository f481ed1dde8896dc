"""Encrypted vectors and tensors of exact integers, on seal-python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError, WireError
from hetorch.interop import tenseal_format
from hetorch.tenseal.abstract import AbstractTensor, Linked
from hetorch.tenseal.batched_ops import Each
from hetorch.tenseal.bfv_context import BfvContext
from hetorch.tenseal.bfv_element import BfvArithmetic
from hetorch.tenseal.context import Context
from hetorch.tenseal.element_tensor import ElementTensor, TensorData
from hetorch.tenseal.errors import OperandTypeError
from hetorch.tenseal.keys import SecretKey
from hetorch.tenseal.operands import is_scalar, vector_operand
from hetorch.tenseal.plain import PlainTensor
from hetorch.tenseal.polynomial import coefficients_of, evaluate, raised, whole_number
from hetorch.tenseal.seal_python import saved


def _bfv(context: object) -> BfvContext:
    if not isinstance(context, Context):
        raise OperandTypeError("context must be a tenseal.Context")
    if not isinstance(context.data, BfvContext):
        raise InputError("a BFV vector or tensor needs a context of SCHEME_TYPE.BFV")
    return context.data


def _integers(tensor: Any) -> NDArray[np.int64]:
    plain = tensor if isinstance(tensor, PlainTensor) else PlainTensor(tensor, dtype="int")
    return np.asarray(plain.array, dtype=np.int64)


def _integer_coefficients(coefficients: Any) -> list[int]:
    values = coefficients_of(coefficients)
    if any(value != int(value) for value in values):
        raise OperandTypeError("coefficients must be a list of int")
    return [int(value) for value in values]


def _integer(value: Any) -> int:
    if not isinstance(value, int):
        raise OperandTypeError(f"BFV computes with integers, got {type(value).__name__}")
    return int(value)


@dataclass(frozen=True, slots=True)
class BfvData:
    """The ciphertexts of a vector, and how many values each holds in its first slots."""

    ciphertexts: tuple[Any, ...]
    sizes: tuple[int, ...]


class BFVVector(AbstractTensor):
    """A vector of integers modulo the plain modulus, encrypted; results are the integers nearest to zero.

    ValueError for wrong sizes or missing keys; TypeError for what is not an integer or an array of numbers.
    """

    def __init__(
        self, context: Context | None = None, vector: Any = None, data: Linked | None = None
    ) -> None:
        self._lazy = None
        self._context = context.data if isinstance(context, Context) else None
        if data is not None:
            self.data = data
            return
        self._context = _bfv(context)
        values = _integers(vector)
        if values.ndim != 1:
            raise InputError(f"can only encrypt a vector, got shape {list(values.shape)}")
        if values.size == 0:
            raise InputError("Attempting to encrypt an empty vector")
        self._data = self._encrypted(values)

    def _encrypted(self, values: NDArray[np.int64]) -> BfvData:
        count = self._context.slot_count
        parts = [values[at : at + count] for at in range(0, len(values), count)]
        return BfvData(
            tuple(self._context.encrypt(part) for part in parts), tuple(len(part) for part in parts)
        )

    def _take(self, value: Any) -> None:
        if not isinstance(value, BfvData):
            raise OperandTypeError(f"value must be of type BfvData, got {type(value).__name__}")
        self._data = value

    def size(self) -> int:
        """Values in all; 0 before a context is linked."""
        return 0 if self._lazy is not None else sum(self._data.sizes)

    @property
    def shape(self) -> list[int]:
        return [self.size()]

    def ciphertext(self) -> list[Any]:
        """seal-python's ciphertexts."""
        return list(self._held.ciphertexts)

    def decrypt(self, secret_key: SecretKey | None = None) -> list[int]:
        """The integers; ValueError without a key."""
        key = self._secret_key(secret_key)
        values: list[int] = []
        for ciphertext, size in zip(self._held.ciphertexts, self._held.sizes, strict=True):
            values += self._context.decrypt(ciphertext, key)[:size].tolist()
        return values

    def _parse(self, data: bytes) -> None:
        if not isinstance(self._context, BfvContext):
            raise InputError("a BFV vector needs a context of SCHEME_TYPE.BFV")
        message = tenseal_format.BfvVectorMessage.load(data)
        sizes = tuple(int(size) for size in message.sizes)
        if not sizes or any(not 1 <= size <= self._context.slot_count for size in sizes):
            raise WireError(
                f"a ciphertext holds 1 to {self._context.slot_count} values, the sizes are {sizes[:8]}"
            )
        self._data = BfvData(tuple(map(self._context.load_ciphertext, message.ciphertexts)), sizes)

    def _dump(self) -> bytes:
        data = self._held
        return tenseal_format.BfvVectorMessage(data.sizes, tuple(map(saved, data.ciphertexts))).dump()

    @property
    def _arithmetic(self) -> BfvArithmetic:
        self._link_check()
        return BfvArithmetic(self._context)

    def _combine(self, other: Any, verb: str, encrypted: Any, constant: Any, values: Any) -> BFVVector:
        data = self._held
        if is_scalar(other):
            number = self._arithmetic.number(_integer(other))
            return self._like(BfvData(tuple(constant(c, number) for c in data.ciphertexts), data.sizes))
        if isinstance(other, BFVVector):
            return self._with_vector(other, verb, encrypted)
        array = vector_operand(other, "int")
        if len(array) != sum(data.sizes):
            raise InputError(f"can't {verb} vectors of different sizes: {sum(data.sizes)} and {len(array)}")
        parts = np.split(array, np.cumsum(data.sizes)[:-1])
        result = tuple(values(c, part) for c, part in zip(data.ciphertexts, parts, strict=True))
        return self._like(BfvData(result, data.sizes))

    def _with_vector(self, other: BFVVector, verb: str, operation: Any) -> BFVVector:
        mine, theirs = self._held, other._held
        if not self.context().data.equals(other.context().data):
            raise InputError(f"can't {verb} vectors that have different contexts")
        if mine.sizes != theirs.sizes:
            raise InputError(
                f"can't compute on vectors of different sizes: {sum(mine.sizes)} and {sum(theirs.sizes)}"
            )
        result = tuple(operation(a, b) for a, b in zip(mine.ciphertexts, theirs.ciphertexts, strict=True))
        return self._like(BfvData(result, mine.sizes))

    def add(self, other: Any) -> BFVVector:
        ops = self._arithmetic
        return self._combine(other, "add", ops.add, ops.add_constant, ops.add_values)

    def sub(self, other: Any) -> BFVVector:
        ops = self._arithmetic
        return self._combine(
            other,
            "sub",
            ops.subtract,
            lambda a, value: ops.add_constant(a, -value),
            lambda a, values: ops.add_values(a, -values),
        )

    def mul(self, other: Any) -> BFVVector:
        """Product of values in the same place."""
        ops = self._arithmetic
        return self._combine(other, "multiply", ops.multiply, ops.multiply_constant, ops.multiply_values)

    def _each(self, operation: Any) -> BFVVector:
        data = self._held
        return self._like(BfvData(tuple(map(operation, data.ciphertexts)), data.sizes))

    def neg(self) -> BFVVector:
        return self._each(self._arithmetic.negate)

    def square(self) -> BFVVector:
        return self._each(self._arithmetic.square)

    def pow(self, power: int) -> BFVVector:
        """Each value to a whole power of at least 0."""
        number = whole_number(power)
        return self._constant(1) if number == 0 else raised(self, number)

    def polyval(self, coefficients: list[float] | list[int]) -> BFVVector:
        """sum_i coefficients[i] x^i of each value; TypeError for coefficients that are not integers."""
        values = _integer_coefficients(coefficients)
        return evaluate(self, values) if len(values) > 1 else self._constant(values[0] if values else 0)

    def _constant(self, value: int) -> BFVVector:
        self._link_check()
        return self._like(self._encrypted(np.full(self.size(), value)))

    def sum(self, axis: int = 0) -> BFVVector:
        """The sum of all values, a vector of size 1; ValueError without Galois keys."""
        ops, data = self._arithmetic, self._held
        sums = [ops.window_sum(c, size) for c, size in zip(data.ciphertexts, data.sizes, strict=True)]
        total = sums[0]
        for other in sums[1:]:
            total = ops.add(total, other)
        return self._like(BfvData((total,), (1,)))

    def dot(self, other: Any) -> BFVVector:
        """The inner product with a vector, encrypted or plain; a vector of size 1."""
        if not isinstance(other, BFVVector):
            other = vector_operand(other, "int")
        return self.mul(other).sum()

    def dot_(self, other: Any) -> BFVVector:
        return self._become(self.dot(other))

    @classmethod
    def pack_vectors(cls, vectors: list[BFVVector]) -> BFVVector:
        """Vectors of one size one after the other; ValueError if sizes differ or they do not fit half the slots."""
        if any(not isinstance(vector, cls) for vector in vectors):
            raise OperandTypeError("vectors to pack must be of type tenseal.BFVVector")
        if not vectors:
            raise InputError("empty input vector: nothing to pack")
        size = vectors[0].size()
        if any(vector.size() != size for vector in vectors):
            raise InputError(f"vectors sizes are different: {[vector.size() for vector in vectors]}")
        ops = vectors[0]._arithmetic
        if len(vectors) * size > ops.context.slot_count // 2:
            raise InputError(
                f"output size is bigger than slot count: {len(vectors) * size} values, "
                f"{ops.context.slot_count // 2} slots in a row"
            )
        total = None
        for index, vector in enumerate(vectors):
            if not ops.context.equals(vector.context().data):
                raise InputError("can't pack vectors that have different contexts")
            masked = ops.multiply_values(vector._held.ciphertexts[0], np.ones(size, dtype=np.int64))
            moved = ops.rotate_rows(masked, -index * size) if index else masked
            total = moved if total is None else ops.add(total, moved)
        return vectors[0]._like(BfvData((total,), (len(vectors) * size,)))


class BFVTensor(ElementTensor):
    """A tensor of integers modulo the plain modulus, encrypted element by element; with `batch` the first dimension
    goes into the slots. Operands are broadcast by numpy's rules; errors as CKKSTensor's."""

    _dtype = "int"

    def __init__(
        self,
        context: Context | None = None,
        tensor: Any = None,
        batch: bool = False,
        data: Linked | None = None,
    ) -> None:
        self._lazy = None
        self._context = context.data if isinstance(context, Context) else None
        if data is not None:
            self.data = data
            return
        self._context = _bfv(context)
        array = _integers(tensor)
        if array.size == 0:
            raise InputError("Attempting to encrypt an empty tensor")
        if batch and (array.ndim == 0 or len(array) > self._context.slot_count):
            raise InputError(f"invalid dimension for batching: shape {list(array.shape)}")
        ops = self._arithmetic
        if batch:
            elements = [self._context.encrypt(values) for values in array.reshape(len(array), -1).T]
            self._data = TensorData.of(None, elements, array.shape[1:], len(array))
        else:
            elements = [ops.encrypt_constant(int(value)) for value in array.ravel()]
            self._data = TensorData.of(None, elements, array.shape, None)

    def _take(self, value: Any) -> None:
        if not isinstance(value, TensorData):
            raise OperandTypeError(f"value must be of type TensorData, got {type(value).__name__}")
        self._data = value

    @property
    def _arithmetic(self) -> BfvArithmetic:
        return BfvArithmetic(self._context)

    @property
    def _many(self) -> Each:
        return Each(self._arithmetic)

    def _scalar(self, value: Any) -> int:
        return _integer(value)

    def _coefficients(self, coefficients: Any) -> list[int]:
        return _integer_coefficients(coefficients)

    def ciphertext(self) -> list[Any]:
        """seal-python's ciphertexts in row-major order."""
        return list(self._held.elements.ravel())

    def decrypt(self, secret_key: SecretKey | None = None) -> PlainTensor:
        """The integers, a batch's dimension first; ValueError without a key."""
        key = self._secret_key(secret_key)
        data = self._held
        count = 1 if data.batch is None else data.batch
        flat = [self._context.decrypt(element, key)[:count] for element in data.elements.ravel()]
        values = np.array(flat, dtype=np.int64).reshape(*data.shape, count)
        values = values[..., 0] if data.batch is None else np.moveaxis(values, -1, 0)
        return PlainTensor(values, dtype="int")

    def _parse(self, data: bytes) -> None:
        if not isinstance(self._context, BfvContext):
            raise InputError("a BFV tensor needs a context of SCHEME_TYPE.BFV")
        message = tenseal_format.BfvTensorMessage.load(data)
        shape = tuple(int(size) for size in message.shape)
        if int(np.prod(shape, dtype=object)) != len(message.ciphertexts):
            raise WireError(f"{len(message.ciphertexts)} ciphertexts for shape {list(shape)}")
        batch = message.batch_size
        if batch is not None and not 1 <= batch <= self._context.slot_count:
            raise WireError(f"a batch of {batch}, but {self._context.slot_count} slots")
        elements = list(map(self._context.load_ciphertext, message.ciphertexts))
        self._data = TensorData.of(None, elements, shape, batch)

    def _dump(self) -> bytes:
        data = self._held
        return tenseal_format.BfvTensorMessage(
            data.shape, tuple(map(saved, data.elements.ravel())), data.batch
        ).dump()
