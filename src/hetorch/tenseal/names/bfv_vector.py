"""Encrypted vectors of exact integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from hetorch.interop.tenseal_format import BfvVectorMessage
from hetorch.tenseal.bfv.arithmetic import BfvArithmetic
from hetorch.tenseal.bfv.context import BfvContext
from hetorch.tenseal.bfv.serialisation import dump_vector, load_vector
from hetorch.tenseal.bfv.vector import BfvData, encrypt_vector
from hetorch.tenseal.names.abstract_tensor import AbstractTensor, Linked
from hetorch.tenseal.names.context import Context
from hetorch.tenseal.names.integers import bfv_state, integer, integer_array, integer_coefficients
from hetorch.tenseal.names.keys import SecretKey
from hetorch.tenseal.names.operands import vector_operand
from hetorch.tenseal.names.polynomial import evaluate, raised
from hetorch.tenseal.scheme.arguments import is_scalar, whole_number
from hetorch.tenseal.scheme.errors import refusal

# TenSEAL's compiled functions behind the slot-wise operations, whose TypeErrors name them.
_FUNCTIONS = {"add": "__add__", "sub": "__sub__", "multiply": "__mul__"}


class BFVVector(AbstractTensor):
    """A vector of integers modulo the plain modulus, encrypted; results are the integers nearest to zero.

    Args:
        context: a BFV context.
        vector: the values; a list, an array or a plain tensor of one dimension.
        data: the `data` of another vector, to be shared.

    Raises:
        ValueError: wrong sizes or missing keys.
        TypeError: the operand is not an integer or an array of numbers.
    """

    _stream = "BFV"

    def __init__(
        self, context: Context | None = None, vector: Any = None, data: Linked | None = None
    ) -> None:
        self._lazy = None
        self._context = context.data if isinstance(context, Context) else None
        if data is not None:
            self.data = data
            return
        self._context = bfv_state(context)
        values = integer_array(vector)
        if values.ndim != 1:
            raise refusal(ValueError, "can only encrypt a vector", f"got shape {list(values.shape)}")
        if values.size == 0:
            raise refusal(ValueError, "Attempting to encrypt an empty vector")
        self._data = encrypt_vector(self._context, values)

    def _take(self, value: Any) -> None:
        if not isinstance(value, BfvData):
            raise refusal(TypeError, f"value must be of type {BfvData}", f"got {type(value).__name__}")
        self._data = value

    # State

    def size(self) -> int:
        """Return the number of values; 0 before a context is linked."""
        return 0 if self._lazy is not None else int(self._data.size)

    @property
    def shape(self) -> list[int]:
        return [self.size()]

    def ciphertext(self) -> list[Any]:
        """Return seal-python's ciphertexts."""
        return list(self._held.ciphertexts)

    def decrypt(self, secret_key: SecretKey | None = None) -> list[int]:
        """Return the integers; ValueError without a key."""
        key = self._secret_key(secret_key)
        values: list[int] = []
        for ciphertext, size in zip(self._held.ciphertexts, self._held.sizes, strict=True):
            values += self._context.decrypt(ciphertext, key)[:size].tolist()
        return values

    def _parse(self, data: bytes) -> None:
        if not isinstance(self._context, BfvContext):
            BfvVectorMessage.load(data)  # TenSEAL reads them first
            raise refusal(ValueError, "unsupported scheme", "a context of SCHEME_TYPE.BFV is needed")
        self._data = load_vector(self._context, data)

    def _dump(self) -> bytes:
        return dump_vector(self._held)

    @property
    def _arithmetic(self) -> BfvArithmetic:
        self._link_check()
        return BfvArithmetic(self._context)

    # Slot-wise operations

    def _combine(self, other: Any, verb: str, encrypted: Any, constant: Any, values: Any) -> BFVVector:
        """Combine with a vector (`encrypted`), a number (`constant`) or plain values; `verb` stands in messages."""
        data = self._held
        if is_scalar(other):
            number = integer(other, _FUNCTIONS[verb])
            return self._like(BfvData(tuple(constant(c, number) for c in data.ciphertexts), data.sizes))
        if isinstance(other, BFVVector):
            return self._with_vector(other, verb, encrypted)
        array = vector_operand(other, "int")
        if len(array) != data.size:
            raise refusal(
                ValueError, f"can't {verb} vectors of different sizes", f"{data.size} and {len(array)} values"
            )
        parts = np.split(array, np.cumsum(data.sizes)[:-1])
        result = tuple(values(c, part) for c, part in zip(data.ciphertexts, parts, strict=True))
        return self._like(BfvData(result, data.sizes))

    def _with_vector(self, other: BFVVector, verb: str, operation: Any) -> BFVVector:
        left, right = self._held, other._held
        if not self.context().data.equals(other.context().data):
            raise refusal(ValueError, f"can't {verb} vectors that have different contexts")
        if left.sizes != right.sizes:
            raise refusal(
                ValueError,
                "can't compute on vectors of different sizes",
                f"{left.size} and {right.size} values",
            )
        result = tuple(operation(a, b) for a, b in zip(left.ciphertexts, right.ciphertexts, strict=True))
        return self._like(BfvData(result, left.sizes))

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
        """Return the product of values in the same place."""
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
        """Return each value to a whole power of at least 0."""
        number = whole_number(power, "pow")
        return self._constant(1) if number == 0 else raised(self, number)

    def polyval(self, coefficients: list[float] | list[int]) -> BFVVector:
        """Return sum_i coefficients[i] x^i of each value; TypeError for coefficients that are not integers."""
        values = integer_coefficients(coefficients)
        return evaluate(self, values) if len(values) > 1 else self._constant(values[0] if values else 0)

    def _constant(self, value: int) -> BFVVector:
        """Return a fresh encryption of one number in each place."""
        self._link_check()
        return self._like(encrypt_vector(self._context, np.full(self.size(), value)))

    # Sums and products across slots

    def sum(self, axis: int = 0) -> BFVVector:
        """Return the sum of all values, a vector of size 1; ValueError without Galois keys."""
        whole_number(axis, "sum", 64)
        ops, data = self._arithmetic, self._held
        sums = [ops.window_sum(c, size) for c, size in zip(data.ciphertexts, data.sizes, strict=True)]
        total = sums[0]
        for other in sums[1:]:
            total = ops.add(total, other)
        return self._like(BfvData((total,), (1,)))

    def dot(self, other: Any) -> BFVVector:
        """Return the inner product with a vector, encrypted or plain: a vector of size 1."""
        if not isinstance(other, BFVVector):
            other = vector_operand(other, "int")
        return self.mul(other).sum()

    def dot_(self, other: Any) -> BFVVector:
        return self._in_place(self.dot, "dot_", other)

    @classmethod
    def pack_vectors(cls, vectors: list[BFVVector]) -> BFVVector:
        """Lay vectors of one size one after the other; ValueError if sizes differ or do not fit half the slots."""
        if any(not isinstance(vector, cls) for vector in vectors):
            raise refusal(TypeError, "vectors to pack must be of type tenseal.BFVVector")
        if not vectors:
            raise refusal(ValueError, "empty input vector", "nothing to pack")
        size = vectors[0].size()
        if any(vector.size() != size for vector in vectors):
            raise refusal(
                ValueError, "vectors sizes are different", f"{[vector.size() for vector in vectors]}"
            )
        ops = vectors[0]._arithmetic
        if len(vectors) * size > ops.context.slot_count // 2:
            raise refusal(
                ValueError,
                "output size is bigger than slot count",
                f"{len(vectors) * size} values, {ops.context.slot_count // 2} slots in a row",
            )
        total = None
        for index, vector in enumerate(vectors):
            if not ops.context.equals(vector.context().data):
                raise refusal(ValueError, "can't pack vectors that have different contexts")
            masked = ops.multiply_values(vector._held.ciphertexts[0], np.ones(size, dtype=np.int64))
            moved = ops.rotate_rows(masked, -index * size) if index else masked
            total = moved if total is None else ops.add(total, moved)
        return vectors[0]._like(BfvData((total,), (len(vectors) * size,)))
