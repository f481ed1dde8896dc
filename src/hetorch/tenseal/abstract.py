"""What encrypted vectors and tensors of both schemes have in common: operators and their in-place forms."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

from hetorch.errors import HetorchError, InputError, WireError
from hetorch.tenseal.context import Context
from hetorch.tenseal.errors import BytesError, OperandTypeError
from hetorch.tenseal.keys import SecretKey


@dataclass(frozen=True, slots=True)
class Linked:
    """Ciphertexts with the context that they belong to: immutable, shared by copies."""

    context: Any
    state: Any


class AbstractTensor(ABC):
    """An encrypted array linked to a context.

    Operators take numbers, lists, numpy and torch arrays, plain tensors and others of their own class. The forms that
    end in _ change the object and return it; the others leave it as it is.
    """

    _context: Any
    _lazy: bytes | None

    # The one state of an object: a tuple that is replaced, never changed.

    @property
    def data(self) -> Linked:
        """What another object of this class can be made of: `CKKSVector(data=vector.data)`."""
        return Linked(self._context, self._held)

    @data.setter
    def data(self, value: Linked) -> None:
        if not isinstance(value, Linked):
            raise OperandTypeError(
                f"value must be the data of a {type(self).__name__}, got {type(value).__name__}"
            )
        self._take(value.state)
        self._context, self._lazy = value.context, None

    @property
    def _held(self) -> Any:
        """The ciphertexts and how the values stand in them; InputError before a context is linked."""
        if self._context is None:
            self._link_check()
        return self._state

    @abstractmethod
    def _take(self, value: Any) -> None:
        """Replace the state; TypeError if it is not one of this class."""

    @abstractmethod
    def _parse(self, data: bytes) -> None:
        """Read the state from bytes, under the linked context."""

    def _link_check(self) -> None:
        if self._context is None:
            raise InputError("missing context: call link_context first")

    def _like(self, data: Any) -> Self:
        """Another object with this context and other state."""
        result = object.__new__(type(self))
        result._context = self._context
        result._lazy = None
        result._state = data
        return result

    @property
    def _data(self) -> Any:
        return self._state

    @_data.setter
    def _data(self, value: Any) -> None:
        self._state = value

    def copy(self) -> Self:
        """An independent object with the same ciphertexts."""
        if self._lazy is not None:
            return type(self).lazy_load(self._lazy)
        return self._like(self._data)

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy with a context of its own."""
        result = self.copy()
        if result._context is not None:
            result._context = copy.deepcopy(Context._wrap(self._context), memo).data
        return result

    def context(self) -> Context:
        """The context linked to this tensor."""
        self._link_check()
        return Context._wrap(self._context)

    def link_context(self, ctx: Context) -> None:
        """Link to a context, and read the bytes that `lazy_load` kept; ValueError if they do not fit it."""
        if not isinstance(ctx, Context):
            raise OperandTypeError(f"ctx must be a Context, got {type(ctx).__name__}")
        before, self._context = self._context, ctx.data
        if self._lazy is None:
            return
        try:
            self._parse(self._lazy)
        except HetorchError as error:
            self._context = before
            if isinstance(error, WireError):
                raise BytesError(str(error)) from None
            raise
        self._lazy = None

    @property
    @abstractmethod
    def shape(self) -> list[int]:
        """The sizes of the dimensions."""

    @classmethod
    def load(cls, context: Context, data: bytes) -> Self:
        """From `serialize`'s bytes, or TenSEAL's; ValueError if they are wrong or of other parameters."""
        if not isinstance(context, Context) or not isinstance(data, bytes):
            raise OperandTypeError(f"Invalid input types context: {type(context)} and vector: {type(data)}")
        result = cls.lazy_load(data)
        result.link_context(context)
        return result

    @classmethod
    def lazy_load(cls, data: bytes) -> Self:
        """Keep `serialize`'s bytes until `link_context`, which reads them."""
        if not isinstance(data, bytes):
            raise OperandTypeError(f"Invalid input types vector: {type(data)}")
        result = object.__new__(cls)
        result._context = None
        result._lazy = data
        result._state = None
        return result

    def serialize(self) -> bytes:
        """TenSEAL's bytes of this tensor, without its context."""
        if self._lazy is not None:
            return self._lazy
        return self._dump()

    @abstractmethod
    def _dump(self) -> bytes:
        """The state as TenSEAL's bytes."""

    def _secret_key(self, secret_key: SecretKey | None) -> Any:
        self._link_check()
        if secret_key is None:
            if not self._context.has_secret_key():
                raise InputError(
                    "the current context of the tensor doesn't hold a secret_key, please provide one as argument"
                )
            return self._context.secret_key()
        if not isinstance(secret_key, SecretKey):
            raise OperandTypeError(f"incorrect type: {type(secret_key)} != SecretKey")
        return secret_key.data

    # Operations: each class has the plain form, the in-place one takes its result.

    def _become(self, other: Self) -> Self:
        self._data = other._data
        return self

    @abstractmethod
    def add(self, other: Any) -> Self: ...

    @abstractmethod
    def sub(self, other: Any) -> Self: ...

    @abstractmethod
    def mul(self, other: Any) -> Self: ...

    @abstractmethod
    def neg(self) -> Self: ...

    @abstractmethod
    def square(self) -> Self: ...

    @abstractmethod
    def pow(self, power: int) -> Self: ...

    @abstractmethod
    def sum(self, axis: int = 0) -> Self: ...

    @abstractmethod
    def polyval(self, coefficients: list[float] | list[int]) -> Self: ...

    def add_(self, other: Any) -> Self:
        return self._become(self.add(other))

    def sub_(self, other: Any) -> Self:
        return self._become(self.sub(other))

    def mul_(self, other: Any) -> Self:
        return self._become(self.mul(other))

    def neg_(self) -> Self:
        return self._become(self.neg())

    def square_(self) -> Self:
        return self._become(self.square())

    def pow_(self, power: int) -> Self:
        return self._become(self.pow(power))

    def sum_(self, axis: int = 0) -> Self:
        return self._become(self.sum(axis))

    def polyval_(self, coefficients: list[float] | list[int]) -> Self:
        return self._become(self.polyval(coefficients))

    def __add__(self, other: Any) -> Self:
        return self.add(other)

    def __iadd__(self, other: Any) -> Self:
        return self.add_(other)

    def __radd__(self, other: Any) -> Self:
        return self.add(other)

    def __mul__(self, other: Any) -> Self:
        return self.mul(other)

    def __imul__(self, other: Any) -> Self:
        return self.mul_(other)

    def __rmul__(self, other: Any) -> Self:
        return self.mul(other)

    def __sub__(self, other: Any) -> Self:
        return self.sub(other)

    def __isub__(self, other: Any) -> Self:
        return self.sub_(other)

    def __rsub__(self, other: Any) -> Self:
        return self.neg().add_(other)

    def __pow__(self, power: int) -> Self:
        return self.pow(power)

    def __ipow__(self, power: int) -> Self:
        return self.pow_(power)

    def __neg__(self) -> Self:
        return self.neg()
