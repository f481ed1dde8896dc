"""Encrypted vectors of real numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.native import Ciphertext
from hetorch.interop.tenseal_format import CkksVectorMessage
from hetorch.tenseal.ckks import products
from hetorch.tenseal.ckks.arithmetic import Arithmetic
from hetorch.tenseal.ckks.context import CkksContext
from hetorch.tenseal.ckks.element import Element
from hetorch.tenseal.ckks.layout import Chunk, Layout
from hetorch.tenseal.ckks.serialisation import dump_vector, load_vector
from hetorch.tenseal.ckks.vector import (
    VectorData,
    combine_vectors,
    combine_with_values,
    encrypt_vector,
    map_vector,
)
from hetorch.tenseal.names.abstract_tensor import AbstractTensor, Linked
from hetorch.tenseal.names.context import Context, ckks_state, not_ckks
from hetorch.tenseal.names.keys import SecretKey
from hetorch.tenseal.names.operands import matrix_operand, vector_operand
from hetorch.tenseal.names.plain_tensor import PlainTensor
from hetorch.tenseal.names.polynomial import coefficients_of, evaluate, evaluate_by_terms, raised
from hetorch.tenseal.scheme.arguments import is_scalar, real_number, whole_number
from hetorch.tenseal.scheme.errors import refusal

# TenSEAL's compiled functions behind the slot-wise operations, whose TypeErrors name them.
_FUNCTIONS = {"add": "__add__", "sub": "__sub__", "multiply": "__mul__"}

# What to do where no ring has room for a vector in one ciphertext.
_CUT_VECTOR = "cut the vector and the rows of the matrix at the same places, and add the products"
_CUT_WINDOWS = "cut the image into parts with fewer windows each, which overlap by a kernel"
_CUT_ROWS = "cut the matrix into blocks of rows, each a vector of its own with its rows of the result"


class CKKSVector(AbstractTensor):
    """A vector of real numbers, encrypted.

    A vector with more values than slots takes several ciphertexts, and then has no matrix products. Products
    relinearise, rescale (one level) and meet at the lower level by themselves, as the context's switches say; sums of
    rescaled results are exact in scale.

    Args:
        context: a CKKS context.
        vector: the values; a list, an array or a plain tensor of one dimension.
        scale: the factor that values are multiplied by before rounding; the context's global scale by default.
        data: the `data` of another vector, to be shared.

    Raises:
        ValueError: wrong sizes, missing keys, levels or scales.
        TypeError: the operand is not a number or an array of numbers.
    """

    _stream = "CKKS"

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
        state = ckks_state(context, scale)
        values = _one_dimension(vector)
        size = state.scale_or_global(None if scale is None else real_number(scale, "__init__"))
        self._data = encrypt_vector(Arithmetic(state, size), values)

    def _take(self, value: Any) -> None:
        if not isinstance(value, VectorData):
            raise refusal(TypeError, f"value must be of type {VectorData}", f"got {type(value).__name__}")
        self._data = value

    # State

    def scale(self) -> float:
        """Return the scale that the vector was encrypted at."""
        return float(self._held.scale)

    def size(self) -> int:
        """Return the number of values; 0 before a context is linked."""
        return 0 if self._lazy is not None else int(self._data.size)

    @property
    def shape(self) -> list[int]:
        return [self.size()]

    def ciphertext(self) -> list[Ciphertext]:
        """Return the core's ciphertexts; none before a context is linked."""
        if self._lazy is not None:
            return []
        return [chunk.element.core for chunk in self._held.chunks]

    def decrypt(self, secret_key: SecretKey | None = None) -> list[float]:
        """Return the values, for the key holder alone (SECURITY.md says what they reveal); ValueError without a key."""
        key = self._secret_key(secret_key)
        values: list[float] = []
        for chunk in self._held.chunks:
            values += self._context.decrypt(chunk.element.core, key)[: chunk.layout.size].tolist()
        return values

    def _parse(self, data: bytes) -> None:
        if not isinstance(self._context, CkksContext):
            CkksVectorMessage.load(data)  # TenSEAL reads them first
            raise not_ckks(self._context)
        self._data = load_vector(self._context, data)

    def _dump(self) -> bytes:
        return dump_vector(self._context, self._held)

    @property
    def _arithmetic(self) -> Arithmetic:
        return Arithmetic(self._context, self._held.scale)

    def _of_chunk(self, chunk: Chunk) -> CKKSVector:
        return self._like(VectorData(self._data.scale, (chunk,)))

    # Slot-wise operations

    def _each(self, operation: Callable[[Arithmetic, Element], Element]) -> CKKSVector:
        return self._like(map_vector(self._context, self._held, operation))

    def _combine(self, other: Any, encrypted: Any, constant: Any, values: Any, verb: str) -> CKKSVector:
        """Combine with a vector (`encrypted`), a number (`constant`) or plain values; `verb` stands in messages."""
        if is_scalar(other):
            number = real_number(other, _FUNCTIONS[verb])
            return self._each(lambda arithmetic, element: constant(arithmetic, element, number))
        if isinstance(other, CKKSVector):
            data, operand = self._held, other._held
            if not self._context.equals(other._context):
                raise refusal(ValueError, f"can't {verb} vectors that have different contexts")
            return self._like(combine_vectors(self._context, data, operand, encrypted))
        array = vector_operand(other)
        data = self._held
        if len(array) != data.size:
            raise refusal(
                ValueError,
                f"can't {verb} vectors of different sizes",
                f"{data.size} encrypted values, {len(array)} plain ones",
            )
        return self._like(combine_with_values(self._context, data, array, values))

    def add(self, other: Any) -> CKKSVector:
        """Return the sum; a vector of one value is added to each of the other's."""
        return self._combine(other, Arithmetic.add, Arithmetic.add_constant, Arithmetic.add_values, "add")

    def sub(self, other: Any) -> CKKSVector:
        """Return the difference; a vector of one value goes with each of the other's."""
        return self._combine(
            other,
            Arithmetic.subtract,
            lambda arithmetic, element, value: arithmetic.add_constant(element, -value),
            lambda arithmetic, element, values: arithmetic.add_values(element, -values),
            "sub",
        )

    def mul(self, other: Any) -> CKKSVector:
        """Return the product of values in the same place; one level."""
        return self._combine(
            other, Arithmetic.multiply, Arithmetic.multiply_constant, Arithmetic.multiply_values, "multiply"
        )

    def neg(self) -> CKKSVector:
        return self._each(Arithmetic.negate)

    def square(self) -> CKKSVector:
        """Return each value's square; one level."""
        return self._each(Arithmetic.square)

    def pow(self, power: int) -> CKKSVector:
        """Return each value to a whole power of at least 0; ceil(log2(power)) levels. TypeError for other powers."""
        number = whole_number(power, "pow")
        return self._constant(1.0) if number == 0 else raised(self, number)

    def polyval(self, coefficients: list[float] | list[int]) -> CKKSVector:
        """Return sum_i coefficients[i] x^i of each value; as many levels as the deepest term has by itself.

        With auto_rescale or auto_mod_switch off the terms rarely meet: ValueError, as in TenSEAL.
        """
        values = coefficients_of(coefficients)
        if len(values) < 2:
            return self._constant(values[0] if values else 0.0)
        self._link_check()
        if self._context.auto_rescale and self._context.auto_mod_switch:
            return evaluate(self, values)
        return evaluate_by_terms(self, self._constant(values[0]), values)

    def _constant(self, value: float) -> CKKSVector:
        """Return a fresh encryption of one number in each place."""
        arithmetic = self._arithmetic
        return self._like(encrypt_vector(arithmetic, np.full(self._held.size, value)))

    # Sums and products across slots

    def sum(self, axis: int = 0) -> CKKSVector:
        """Return the sum of all values, a vector of size 1. `axis` changes nothing. ValueError without Galois keys."""
        whole_number(axis, "sum", 64)
        arithmetic = self._arithmetic
        sums = [products.sum_chunk(arithmetic, chunk) for chunk in self._held.chunks]
        total = sums[0]
        for chunk in sums[1:]:
            total = Chunk(arithmetic.add(total.element, chunk.element), total.layout.meet(chunk.layout))
        return self._of_chunk(total)

    def dot(self, other: Any) -> CKKSVector:
        """Return the inner product with a vector, encrypted or plain: a vector of size 1; one level."""
        if not isinstance(other, CKKSVector):
            other = vector_operand(other)
        return self.mul(other).sum()

    def dot_(self, other: Any) -> CKKSVector:
        return self._in_place(self.dot, "dot_", other)

    def _single(self, function: str, cut: str) -> Chunk:
        """Return the only ciphertext; ValueError for several, with the ring that has room, or `cut`, as the remedy."""
        chunks = self._held.chunks
        if len(chunks) != 1:
            advice = products.room_for(self._held.size, self._context.parameters.slot_count, cut)
            raise refusal(ValueError, f"can't execute {function} on chunked vectors", advice)
        chunk: Chunk = chunks[0]
        return chunk

    def mm(self, other: Any) -> CKKSVector:
        """Return the vector times a plain matrix of shape (size, columns): a vector of `columns` values; one level."""
        matrix = matrix_operand(other)
        chunk = self._single("matmul_plain", _CUT_VECTOR)
        if len(matrix) != chunk.layout.size or matrix.shape[1] == 0:
            raise refusal(
                ValueError,
                "matrix shape doesn't match with vector size",
                f"{list(matrix.shape)} and {chunk.layout.size}",
            )
        if matrix.shape[1] > self._context.parameters.slot_count:
            slot_count = self._context.parameters.slot_count
            raise refusal(
                ValueError,
                f"a product of {matrix.shape[1]} values does not fit in {slot_count} slots",
                products.room_for(matrix.shape[1], slot_count, "cut the matrix into blocks of columns"),
            )
        if len(matrix) > 1:
            self._context.galois_keys()
        return self._of_chunk(products.multiply_matrix(self._arithmetic, chunk, matrix))

    def mm_(self, other: Any) -> CKKSVector:
        return self._in_place(self.mm, "mm_", other)

    def matmul(self, *args: Any, **kwargs: Any) -> CKKSVector:
        """Return `mm`'s result."""
        return self.mm(*args, **kwargs)

    def matmul_(self, *args: Any, **kwargs: Any) -> CKKSVector:
        return self.mm_(*args, **kwargs)

    def __matmul__(self, *args: Any, **kwargs: Any) -> CKKSVector:
        return self.mm(*args, **kwargs)

    def __imatmul__(self, *args: Any, **kwargs: Any) -> CKKSVector:
        return self.mm_(*args, **kwargs)

    def conv2d_im2col(self, other: Any, windows_nb: int) -> CKKSVector:
        """Return the convolution of im2col_encoding's vector with a plain kernel: `windows_nb` values; one level."""
        kernel = matrix_operand(other)
        if kernel.size == 0:
            raise refusal(ValueError, "tensor with empty columns", "the kernel has no values")
        self._single("conv2d_im2col", _CUT_WINDOWS)
        if whole_number(windows_nb, "conv2d_im2col", 64) == 0:
            raise refusal(ValueError, "Windows number can't be zero")
        return self.enc_matmul_plain(kernel.ravel(), windows_nb)

    def conv2d_im2col_(self, other: Any, windows_nb: int) -> CKKSVector:
        return self._in_place(self.conv2d_im2col, "conv2d_im2col_", other, windows_nb)

    def enc_matmul_plain(self, other: Any, row_size: int) -> CKKSVector:
        """Return enc_matmul_encoding's matrix, of `row_size` rows, times a plain vector; one level."""
        vector = vector_operand(other)
        if len(vector) == 0:
            raise refusal(ValueError, "Plain vector can't be empty")
        chunk = self._single("enc_matmul_plain", _CUT_ROWS)
        rows = whole_number(row_size, "enc_matmul_plain", 64)
        if rows == 0:
            raise refusal(ValueError, "row_size can't be zero")
        return self._of_chunk(products.multiply_windows(self._arithmetic, chunk, vector, rows))

    def enc_matmul_plain_(self, other: Any, row_size: int) -> CKKSVector:
        return self._in_place(self.enc_matmul_plain, "enc_matmul_plain_", other, row_size)

    @classmethod
    def pack_vectors(cls, vectors: list[CKKSVector]) -> CKKSVector:
        """Lay vectors of one size one after the other in one ciphertext; one level. ValueError if sizes differ."""
        if any(not isinstance(vector, cls) for vector in vectors):
            raise refusal(TypeError, "vectors to pack must be of type tenseal.CKKSVector")
        if not vectors:
            raise refusal(ValueError, "empty input vector", "nothing to pack")
        first = vectors[0]
        state = first.context().data
        products.check_sizes([vector.size() for vector in vectors], state.parameters.slot_count)
        if any(not state.equals(vector.context().data) for vector in vectors):
            raise refusal(ValueError, "can't add vectors that have different contexts")
        chunks = [vector._held.chunks[0] for vector in vectors]
        return first._of_chunk(products.pack(first._arithmetic, chunks))

    def replicate_first_slot(self, n: int) -> CKKSVector:
        """Return the first value n times: no level where the slots hold it already, else one."""
        count = whole_number(n, "replicate_first_slot", 64)
        if not 1 <= count <= self._context.parameters.slot_count:
            raise refusal(ValueError, f"n must be 1 to {self._context.parameters.slot_count}, got {count}")
        chunk = self._single("replicate_first_slot", _CUT_VECTOR)
        if chunk.layout.size != 1:
            chunk = Chunk(chunk.element, Layout(1, 1, 1))
        return self._of_chunk(products.replicate(self._arithmetic, chunk, count))

    def replicate_first_slot_(self, n: int) -> CKKSVector:
        return self._become(self.replicate_first_slot(n))


def _one_dimension(vector: Any) -> NDArray[np.float64]:
    tensor = vector if isinstance(vector, PlainTensor) else PlainTensor(vector, dtype="float")
    values = np.asarray(tensor.array, dtype=np.float64)
    if values.ndim != 1:
        raise refusal(ValueError, "can only encrypt a vector", f"got shape {list(values.shape)}")
    if values.size == 0:
        raise refusal(ValueError, "Attempting to encrypt an empty vector")
    return values
