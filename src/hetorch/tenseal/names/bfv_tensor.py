"""Encrypted tensors of exact integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from hetorch.interop.tenseal_format import BfvTensorMessage
from hetorch.tenseal.bfv.arithmetic import BfvArithmetic
from hetorch.tenseal.bfv.context import BfvContext
from hetorch.tenseal.bfv.serialisation import dump_tensor, load_tensor
from hetorch.tenseal.names.abstract_tensor import Linked
from hetorch.tenseal.names.context import Context
from hetorch.tenseal.names.element_tensor import ElementTensor
from hetorch.tenseal.names.integers import bfv_state, integer, integer_array, integer_coefficients
from hetorch.tenseal.names.keys import SecretKey
from hetorch.tenseal.names.plain_tensor import PlainTensor
from hetorch.tenseal.scheme.batched_ops import OneByOne
from hetorch.tenseal.scheme.errors import refusal
from hetorch.tenseal.scheme.tensor_data import TensorData


class BFVTensor(ElementTensor):
    """A tensor of integers modulo the plain modulus, encrypted element by element.

    Operands are broadcast by numpy's rules. Arguments and errors are CKKSTensor's, without a scale.
    """

    _dtype = "int"
    _stream = "BFV tensor"

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
        state = self._context = bfv_state(context)
        array = integer_array(tensor)
        if array.size == 0:
            raise refusal(ValueError, "Attempting to encrypt an empty tensor")
        if batch:
            if array.ndim == 0:
                raise refusal(ValueError, "invalid dimension for batching", "a single number has none")
            if len(array) > state.slot_count:
                raise refusal(
                    ValueError,
                    "can't encrypt vectors of this size, please use a larger polynomial modulus degree.",
                    f"{len(array)} samples, {state.slot_count} slots",
                )
            elements = [state.encrypt(values) for values in array.reshape(len(array), -1).T]
            self._data = TensorData.of(None, elements, array.shape[1:], len(array))
        else:
            ops = BfvArithmetic(state)
            elements = [ops.encrypt_constant(int(value)) for value in array.ravel()]
            self._data = TensorData.of(None, elements, array.shape, None)

    @property
    def _many(self) -> OneByOne:
        self._link_check()
        return OneByOne(BfvArithmetic(self._context))

    def _scalar(self, value: Any, function: str) -> int:
        return integer(value, function)

    @property
    def _all_steps(self) -> bool:
        return True  # integers have neither scales nor levels

    def _coefficients(self, coefficients: Any) -> list[int]:
        return integer_coefficients(coefficients)

    def ciphertext(self) -> list[Any]:
        """Return seal-python's ciphertexts in row-major order."""
        return list(self._held.elements.ravel())

    def decrypt(self, secret_key: SecretKey | None = None) -> PlainTensor:
        """Return the integers, a batch's dimension first; ValueError without a key."""
        key = self._secret_key(secret_key)
        data = self._held
        count = 1 if data.batch is None else data.batch
        flat = [self._context.decrypt(element, key)[:count] for element in data.elements.ravel()]
        values = np.array(flat, dtype=np.int64).reshape(*data.shape, count)
        values = values[..., 0] if data.batch is None else np.moveaxis(values, -1, 0)
        return PlainTensor(values, dtype="int")

    def _parse(self, data: bytes) -> None:
        if not isinstance(self._context, BfvContext):
            BfvTensorMessage.load(data)  # TenSEAL reads them first
            raise refusal(ValueError, "unsupported scheme", "a context of SCHEME_TYPE.BFV is needed")
        self._data = load_tensor(self._context, data)

    def _dump(self) -> bytes:
        return dump_tensor(self._held)
