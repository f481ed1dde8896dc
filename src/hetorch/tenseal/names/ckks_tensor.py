"""Encrypted tensors of real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.native import Ciphertext
from hetorch.interop.tenseal_format import CkksTensorMessage
from hetorch.tenseal.ckks.arithmetic import Arithmetic
from hetorch.tenseal.ckks.batched_ops import InOneCall
from hetorch.tenseal.ckks.context import CkksContext
from hetorch.tenseal.ckks.serialisation import dump_tensor, load_tensor
from hetorch.tenseal.names.abstract_tensor import Linked
from hetorch.tenseal.names.context import Context, ckks_state, not_ckks
from hetorch.tenseal.names.element_tensor import ElementTensor
from hetorch.tenseal.names.keys import SecretKey
from hetorch.tenseal.names.plain_tensor import PlainTensor
from hetorch.tenseal.scheme.arguments import real_number
from hetorch.tenseal.scheme.errors import refusal
from hetorch.tenseal.scheme.tensor_data import TensorData


class CKKSTensor(ElementTensor):
    """A tensor of real numbers, encrypted element by element.

    Operands are broadcast by numpy's rules. Products relinearise, rescale (one level) and meet at the lower level by
    themselves, as the context's switches say; a sum of products does so once.

    Args:
        context: a CKKS context.
        tensor: the values; nested lists, an array or a plain tensor.
        scale: the factor that values are multiplied by before rounding; the context's global scale by default.
        batch: True to put the first dimension into the slots, as the samples of a batch.
        data: the `data` of another tensor, to be shared.

    Raises:
        ValueError: wrong shapes (RuntimeError too where broadcasting fails), missing keys, levels or scales.
        TypeError: the operand is not a number or an array of numbers.
    """

    _dtype = "float"
    _stream = "CKKS tensor"

    def __init__(
        self,
        context: Context | None = None,
        tensor: Any = None,
        scale: float | None = None,
        batch: bool = False,
        data: Linked | None = None,
    ) -> None:
        self._lazy = None
        self._context = context.data if isinstance(context, Context) else None
        if data is not None:
            self.data = data
            return
        state = ckks_state(context, scale)
        plain = tensor if isinstance(tensor, PlainTensor) else PlainTensor(tensor, dtype="float")
        size = state.scale_or_global(None if scale is None else real_number(scale, "__init__"))
        array = np.asarray(plain.array, dtype=np.float64)
        self._data = _encrypt(Arithmetic(state, size), array, batch)

    # State

    def scale(self) -> float:
        """Return the scale that the tensor was encrypted at."""
        return float(self._held.scale)

    def ciphertext(self) -> list[Ciphertext]:
        """Return the core's ciphertexts in row-major order; none before a context is linked."""
        if self._lazy is not None:
            return []
        return [element.core for element in self._held.elements.ravel()]

    def decrypt(self, secret_key: SecretKey | None = None) -> PlainTensor:
        """Return the values, a batch's dimension first, for the key holder alone; ValueError without a key."""
        key = self._secret_key(secret_key)
        data = self._held
        count = 1 if data.batch is None else data.batch
        decrypt = self._context.decrypt
        flat = [decrypt(element.core, key)[:count] for element in data.elements.ravel()]
        values = np.array(flat).reshape(*data.shape, count)
        values = values[..., 0] if data.batch is None else np.moveaxis(values, -1, 0)
        return PlainTensor(values, dtype="float")

    def _parse(self, data: bytes) -> None:
        if not isinstance(self._context, CkksContext):
            CkksTensorMessage.load(data)  # TenSEAL reads them first
            raise not_ckks(self._context)
        self._data = load_tensor(self._context, data)

    def _dump(self) -> bytes:
        return dump_tensor(self._context, self._held)

    def _scalar(self, value: Any, function: str) -> float:
        return real_number(value, function)

    @property
    def _many(self) -> InOneCall:
        return InOneCall(Arithmetic(self._context, self._held.scale))


def _encrypt(arithmetic: Arithmetic, array: NDArray[np.float64], batch: bool) -> TensorData:
    if array.size == 0:
        raise refusal(ValueError, "Attempting to encrypt an empty tensor")
    if not batch:
        elements = [arithmetic.encrypt_constant(float(value)) for value in array.ravel()]
        return TensorData.of(arithmetic.scale, elements, array.shape, None)
    if array.ndim == 0:
        raise refusal(ValueError, "invalid dimension for batching", "a single number has none")
    slot_count = arithmetic.context.parameters.slot_count
    samples = array.shape[0]
    if samples > slot_count:
        raise refusal(
            ValueError,
            "can't encrypt vectors of this size, please use a larger polynomial modulus degree.",
            f"{samples} samples, {slot_count} slots",
        )
    padded = np.zeros((array[0].size, slot_count))
    padded[:, :samples] = array.reshape(samples, -1).T
    elements = [arithmetic.encrypt(values) for values in padded]
    return TensorData.of(arithmetic.scale, elements, array.shape[1:], samples)
