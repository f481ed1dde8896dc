"""Encrypted vectors: many values in the slots of few ciphertexts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.native import Ciphertext
from hetorch.errors import InputError
from hetorch.tenseal import products
from hetorch.tenseal.abstract import AbstractTensor, Linked
from hetorch.tenseal.ckks_context import CkksContext
from hetorch.tenseal.context import Context
from hetorch.tenseal.element import Arithmetic, Element
from hetorch.tenseal.errors import OperandTypeError
from hetorch.tenseal.keys import SecretKey
from hetorch.tenseal.layout import Chunk, Layout
from hetorch.tenseal.operands import is_scalar, matrix_operand, real_number, vector_operand
from hetorch.tenseal.polynomial import coefficients_of, evaluate, raised, whole_number

Plan = Callable[[Arithmetic, Element], Element]


@dataclass(frozen=True, slots=True)
class VectorData:
    """The ciphertexts of a vector, each with as many values as there are slots but for the last one."""

    scale: float
    chunks: tuple[Chunk, ...]

    @property
    def size(self) -> int:
        """Values in all."""
        if len(self.chunks) == 1:
            return self.chunks[0].layout.size
        return sum(chunk.layout.size for chunk in self.chunks)


class CKKSVector(AbstractTensor):
    """A vector of real numbers, encrypted.

    `scale` (default: the context's global scale) is the factor that values are multiplied by before rounding. A
    vector with more values than slots takes several ciphertexts, and then has no matrix products. Products relinearise,
    rescale (one level) and meet at the lower level by themselves, as the context's switches say; sums of rescaled
    results are exact in scale. ValueError for wrong sizes, missing keys, levels or scales; TypeError for what is
    not a number or an array of numbers.
    """

    def __init__(
        self,
        context: Context | None = None,
        vector: Any = None,
        scale: float | None = None,
        data: Linked | None = None,
    ) -> None:
        self._lazy = None
        self._context = context.data if isinstance(context, Context) else None
        if data is not None:
            self.data = data
            return
        if not isinstance(context, Context):
            raise OperandTypeError("context must be a tenseal.Context")
        if not isinstance(context.data, CkksContext):
            raise InputError("a CKKS vector needs a context of SCHEME_TYPE.CKKS")
        values = _one_dimension(vector)
        size = context.data.scale_or_global(scale)
        self._data = _encrypt(Arithmetic(context.data, size), values)

    def _take(self, value: Any) -> None:
        if not isinstance(value, VectorData):
            raise OperandTypeError(f"value must be of type VectorData, got {type(value).__name__}")
        self._data = value

    # What it is

    def scale(self) -> float:
        """The scale that the vector was encrypted at."""
        return float(self._held.scale)

    def size(self) -> int:
        """Values in all; 0 before a context is linked."""
        return 0 if self._lazy is not None else int(self._data.size)

    @property
    def shape(self) -> list[int]:
        return [self.size()]

    def ciphertext(self) -> list[Ciphertext]:
        """The core's ciphertexts; none before a context is linked."""
        if self._lazy is not None:
            return []
        return [chunk.element.core for chunk in self._held.chunks]

    def decrypt(self, secret_key: SecretKey | None = None) -> list[float]:
        """The values, for the key holder alone (SECURITY.md: what decryption gives away); ValueError without a key."""
        key = self._secret_key(secret_key)
        values: list[float] = []
        for chunk in self._held.chunks:
            values += key.decrypt(chunk.element.core)[: chunk.layout.size].tolist()
        return values

    def _parse(self, data: bytes) -> None:
        from hetorch.tenseal.serialisation import load_vector

        self._data = load_vector(self._context, data)

    def _dump(self) -> bytes:
        from hetorch.tenseal.serialisation import dump_vector

        return dump_vector(self._context, self._held)

    # Slot-wise operations

    @property
    def _arithmetic(self) -> Arithmetic:
        return Arithmetic(self._context, self._held.scale)

    def _with(self, chunks: Sequence[Chunk]) -> CKKSVector:
        return self._like(VectorData(self._data.scale, tuple(chunks)))

    def _each(self, plan: Plan) -> CKKSVector:
        data = self._held
        arithmetic = Arithmetic(self._context, data.scale)
        chunks = tuple([Chunk(plan(arithmetic, chunk.element), chunk.layout) for chunk in data.chunks])
        return self._like(VectorData(data.scale, chunks))

    def _combine(self, other: Any, encrypted: Any, constant: Any, values: Any, verb: str) -> CKKSVector:
        """The result of a slot-wise operation with anything."""
        if is_scalar(other):
            number = real_number(other)
            return self._each(lambda arithmetic, element: constant(arithmetic, element, number))
        if isinstance(other, CKKSVector):
            return self._with_vector(other, encrypted, verb)
        array = vector_operand(other)
        if len(array) != self._held.size:
            raise InputError(
                f"can't {verb} vectors of different sizes: {self._held.size} encrypted values, {len(array)} plain ones"
            )
        if not np.all(np.isfinite(array)):
            raise InputError("values must be finite")
        arithmetic, at, chunks = self._arithmetic, 0, []
        for chunk in self._held.chunks:
            part = chunk.layout.spread(
                array[at : at + chunk.layout.size], self._context.parameters.slot_count
            )
            chunks.append(Chunk(values(arithmetic, chunk.element, part), chunk.layout))
            at += chunk.layout.size
        return self._with(chunks)

    def _with_vector(self, other: CKKSVector, operation: Any, verb: str) -> CKKSVector:
        mine, theirs = self._held, other._held
        if not self._context.equals(other._context):
            raise InputError(f"can't {verb} vectors that have different contexts")
        if mine.size != theirs.size:
            if mine.size == 1:
                mine = _replicated(self._arithmetic, mine, theirs)
            elif theirs.size == 1:
                theirs = _replicated(other._arithmetic, theirs, mine)
            else:
                raise InputError(
                    f"can't compute on vectors of different sizes: {mine.size} and {theirs.size}"
                )
        arithmetic = self._arithmetic
        return self._with(
            [
                Chunk(operation(arithmetic, a.element, b.element), a.layout.meet(b.layout))
                for a, b in zip(mine.chunks, theirs.chunks, strict=True)
            ]
        )

    def add(self, other: Any) -> CKKSVector:
        """Sum; a vector of one value is added to each of the other's."""
        return self._combine(other, Arithmetic.add, Arithmetic.add_constant, Arithmetic.add_values, "add")

    def sub(self, other: Any) -> CKKSVector:
        """Difference; as add."""
        return self._combine(
            other,
            Arithmetic.subtract,
            lambda arithmetic, element, value: arithmetic.add_constant(element, -value),
            lambda arithmetic, element, values: arithmetic.add_values(element, -values),
            "sub",
        )

    def mul(self, other: Any) -> CKKSVector:
        """Product of values in the same place; one level."""
        return self._combine(
            other, Arithmetic.multiply, Arithmetic.multiply_constant, Arithmetic.multiply_values, "multiply"
        )

    def neg(self) -> CKKSVector:
        return self._each(Arithmetic.negate)

    def square(self) -> CKKSVector:
        """Each value's square; one level."""
        return self._each(Arithmetic.square)

    def pow(self, power: int) -> CKKSVector:
        """Each value to a whole power of at least 0; ceil(log2(power)) levels. TypeError for other powers."""
        number = whole_number(power)
        if number == 0:
            return self._like(_encrypt(self._arithmetic, np.ones(self._held.size)))
        return raised(self, number)

    def polyval(self, coefficients: list[float] | list[int]) -> CKKSVector:
        """sum_i coefficients[i] x^i of each value; as many levels as the deepest term has by itself."""
        values = coefficients_of(coefficients)
        if len(values) < 2:
            constant = values[0] if values else 0.0
            return self._like(_encrypt(self._arithmetic, np.full(self._held.size, constant)))
        return evaluate(self, values)

    # Sums and products across slots

    def sum(self, axis: int = 0) -> CKKSVector:
        """The sum of all values, a vector of size 1; `axis` changes nothing. ValueError without Galois keys."""
        whole_number(axis)
        arithmetic = self._arithmetic
        sums = [products.sum_chunk(arithmetic, chunk) for chunk in self._held.chunks]
        total = sums[0]
        for chunk in sums[1:]:
            total = Chunk(arithmetic.add(total.element, chunk.element), total.layout.meet(chunk.layout))
        return self._with([total])

    def dot(self, other: Any) -> CKKSVector:
        """The inner product with a vector, encrypted or plain; a vector of size 1, one level."""
        if not isinstance(other, CKKSVector):
            other = vector_operand(other)
        return self.mul(other).sum()

    def dot_(self, other: Any) -> CKKSVector:
        return self._become(self.dot(other))

    def _single(self, what: str) -> Chunk:
        if len(self._held.chunks) != 1:
            raise InputError(f"can't execute {what} on chunked vectors: use a larger poly_modulus_degree")
        chunk: Chunk = self._held.chunks[0]
        return chunk

    def mm(self, other: Any) -> CKKSVector:
        """The vector times a plain matrix of shape (size, columns); a vector of `columns` values, one level."""
        matrix = matrix_operand(other)
        chunk = self._single("matmul_plain")
        if len(matrix) != chunk.layout.size or matrix.shape[1] == 0:
            raise InputError(
                f"matrix shape doesn't match with vector size: {list(matrix.shape)} and {chunk.layout.size}"
            )
        if not np.all(np.isfinite(matrix)):
            raise InputError("values must be finite")
        if matrix.shape[1] > self._context.parameters.slot_count:
            raise InputError(
                f"a product of {matrix.shape[1]} values does not fit in {self._context.parameters.slot_count} slots"
            )
        if len(matrix) > 1:
            self._context.galois_keys()
        return self._with([products.multiply_matrix(self._arithmetic, chunk, matrix)])

    def mm_(self, other: Any) -> CKKSVector:
        return self._become(self.mm(other))

    def matmul(self, *args: Any, **kwargs: Any) -> CKKSVector:
        """The same as mm."""
        return self.mm(*args, **kwargs)

    def matmul_(self, *args: Any, **kwargs: Any) -> CKKSVector:
        return self.mm_(*args, **kwargs)

    def __matmul__(self, *args: Any, **kwargs: Any) -> CKKSVector:
        return self.mm(*args, **kwargs)

    def __imatmul__(self, *args: Any, **kwargs: Any) -> CKKSVector:
        return self.mm_(*args, **kwargs)

    def conv2d_im2col(self, other: Any, windows_nb: int) -> CKKSVector:
        """A convolution of what im2col_encoding encrypted with a plain kernel: `windows_nb` values, one level."""
        kernel = matrix_operand(other)
        self._single("conv2d_im2col")
        if windows_nb == 0:
            raise InputError("Windows number can't be zero")
        if kernel.size == 0:
            raise InputError("Kernel matrix can't be empty")
        return self.enc_matmul_plain(kernel.ravel(), windows_nb)

    def conv2d_im2col_(self, other: Any, windows_nb: int) -> CKKSVector:
        return self._become(self.conv2d_im2col(other, windows_nb))

    def enc_matmul_plain(self, other: Any, row_size: int) -> CKKSVector:
        """What enc_matmul_encoding encrypted, a matrix of `row_size` rows, times a plain vector; one level."""
        vector = vector_operand(other)
        if len(vector) == 0:
            raise InputError("Plain vector can't be empty")
        if not np.all(np.isfinite(vector)):
            raise InputError("values must be finite")
        chunk = self._single("enc_matmul_plain")
        rows = whole_number(row_size)
        if rows == 0:
            raise InputError("row_size can't be zero")
        return self._with([products.multiply_windows(self._arithmetic, chunk, vector, rows)])

    def enc_matmul_plain_(self, other: Any, row_size: int) -> CKKSVector:
        return self._become(self.enc_matmul_plain(other, row_size))

    @classmethod
    def pack_vectors(cls, vectors: list[CKKSVector]) -> CKKSVector:
        """Vectors of one size one after the other in one ciphertext; one level. ValueError if sizes differ."""
        if any(not isinstance(vector, cls) for vector in vectors):
            raise OperandTypeError("vectors to pack must be of type tenseal.CKKSVector")
        if not vectors:
            raise InputError("empty input vector: nothing to pack")
        first = vectors[0]
        if any(not first.context().data.equals(vector.context().data) for vector in vectors):
            raise InputError("can't pack vectors that have different contexts")
        chunks = [vector._single("pack_vectors") for vector in vectors]
        return first._with([products.pack(first._arithmetic, chunks)])

    def replicate_first_slot(self, n: int) -> CKKSVector:
        """The first value n times, a vector of size n: no level where the slots hold it already, else one."""
        count = whole_number(n)
        if not 1 <= count <= self._context.parameters.slot_count:
            raise InputError(f"n must be 1 to {self._context.parameters.slot_count}, got {count}")
        chunk = self._single("replicate_first_slot")
        if chunk.layout.size == 1:
            return self._with([products.replicate(self._arithmetic, chunk, count)])
        one = Chunk(chunk.element, Layout(1, 1, 1))
        return self._with([products.replicate(self._arithmetic, one, count)])

    def replicate_first_slot_(self, n: int) -> CKKSVector:
        return self._become(self.replicate_first_slot(n))


def _one_dimension(vector: Any) -> NDArray[np.float64]:
    from hetorch.tenseal.plain import PlainTensor

    tensor = vector if isinstance(vector, PlainTensor) else PlainTensor(vector, dtype="float")
    values = np.asarray(tensor.array, dtype=np.float64)
    if values.ndim != 1:
        raise InputError(f"can only encrypt a vector, got shape {list(values.shape)}")
    if values.size == 0:
        raise InputError("Attempting to encrypt an empty vector")
    if not np.all(np.isfinite(values)):
        raise InputError("values must be finite")
    return values


def _encrypt(arithmetic: Arithmetic, values: NDArray[np.float64]) -> VectorData:
    """Each run of slot_count values in one ciphertext, repeated along its slots."""
    slot_count = arithmetic.context.parameters.slot_count
    chunks = []
    for at in range(0, len(values), slot_count):
        part = values[at : at + slot_count]
        element = arithmetic.encrypt(np.resize(part, slot_count))
        chunks.append(Chunk(element, Layout(len(part), len(part), slot_count)))
    return VectorData(arithmetic.scale, tuple(chunks))


def _replicated(arithmetic: Arithmetic, one: VectorData, like: VectorData) -> VectorData:
    """A vector of one value as one with the sizes of `like`."""
    chunks = tuple(products.replicate(arithmetic, one.chunks[0], chunk.layout.size) for chunk in like.chunks)
    # What repeats everywhere has any period: take the other's, so that the result keeps its repetition.
    return VectorData(
        one.scale,
        tuple(
            Chunk(c.element, Layout(other.layout.size, other.layout.period, c.layout.reach))
            if c.layout.reach >= other.layout.size
            else c
            for c, other in zip(chunks, like.chunks, strict=True)
        ),
    )
