"""The base of encrypted vectors and tensors of both schemes: context, bytes, operators and their in-place forms."""

from __future__ import annotations

import copy
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self

from hetorch.errors import WireError
from hetorch.tenseal.names.context import Context
from hetorch.tenseal.names.keys import SecretKey
from hetorch.tenseal.names.operators import Operators
from hetorch.tenseal.scheme.errors import CiphertextError, incompatible, refusal


@dataclass(frozen=True, slots=True)
class Linked:
    """The ciphertexts of an object (`state`) with the context that they belong to: immutable, shared by copies."""

    context: Any
    state: Any


class AbstractTensor(Operators):
    """An encrypted array linked to a context.

    Operators take numbers, lists, numpy and torch arrays, plain tensors and others of their own class. The forms that
    end in _ change the object and return it; the others leave it as it is.
    """

    _context: Any
    _lazy: bytes | None

    # The state of an object is frozen data that is replaced, never changed.

    @property
    def data(self) -> Linked:
        """The ciphertexts and their context, which another object can share: `CKKSVector(data=vector.data)`."""
        return Linked(self._context, self._held)

    @data.setter
    def data(self, value: Linked) -> None:
        if not isinstance(value, Linked):
            raise refusal(TypeError, f"value must be of type {Linked}", f"got {type(value).__name__}")
        self._take(value.state)
        self._context, self._lazy = value.context, None

    @property
    def _held(self) -> Any:
        """The ciphertexts and how the values stand in them; ValueError before a context is linked."""
        if self._context is None:
            self._link_check()
        return self._state

    @abstractmethod
    def _take(self, value: Any) -> None:
        """Replace the state; TypeError if `value` is no state of this class."""

    _stream: ClassVar[str]
    """The name of these objects in the error of malformed bytes."""

    @classmethod
    def _refused(cls, error: WireError) -> Exception:
        """Return TenSEAL's error for bytes that cannot be read: of SEAL's for a ciphertext, of its own for the rest."""
        if isinstance(error, CiphertextError):
            return refusal(RuntimeError, "ciphertext data is invalid", str(error))
        return refusal(ValueError, f"failed to parse {cls._stream} stream", str(error))

    @abstractmethod
    def _parse(self, data: bytes) -> None:
        """Read the state from bytes, under the linked context; WireError if they are malformed or do not fit it."""

    def _link_check(self) -> None:
        if self._context is None:
            raise refusal(ValueError, "missing context", "call link_context first")

    def _like(self, data: Any) -> Self:
        """Return another object with this context and the state `data`."""
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
        """Return an independent object with the same ciphertexts and context."""
        if self._lazy is not None:
            return type(self).lazy_load(self._lazy)
        return self._like(self._data)

    def __copy__(self) -> Self:
        return self.copy()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"cannot pickle '{type(self).__name__}' object: use serialize() and load(), and send the context apart"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy with a context of its own."""
        result = self.copy()
        if result._context is not None:
            result._context = copy.deepcopy(Context._wrap(self._context), memo).data
        return result

    def context(self) -> Context:
        """The context linked to this tensor."""
        self._link_check()
        return Context._wrap(self._context)

    def link_context(self, ctx: Context) -> None:
        """Link to a context, and read the bytes that `lazy_load` kept; ValueError if they do not fit the context."""
        state = ctx.data
        if not isinstance(ctx, Context):
            raise incompatible("link_context", f"a Context is expected, got {type(ctx).__name__}")
        before, self._context = self._context, state
        if self._lazy is None:
            return
        try:
            self._parse(self._lazy)
        except WireError as error:
            self._context = before
            raise self._refused(error) from None
        except ValueError:
            self._context = before
            raise
        self._lazy = None

    @property
    @abstractmethod
    def shape(self) -> list[int]:
        """The sizes of the dimensions."""

    @classmethod
    def load(cls, context: Context, data: bytes) -> Self:
        """Return the object of `serialize`'s bytes, or of TenSEAL's; ValueError if they are malformed or do not fit."""
        if not isinstance(context, Context) or not isinstance(data, bytes):
            raise refusal(TypeError, f"Invalid input types context: {type(context)} and vector: {type(data)}")
        result = cls.lazy_load(data)
        result.link_context(context)
        return result

    @classmethod
    def lazy_load(cls, data: bytes) -> Self:
        """Return an object that keeps `serialize`'s bytes until `link_context` reads them."""
        if not isinstance(data, bytes):
            raise refusal(TypeError, f"Invalid input types vector: {type(data)}")
        result = object.__new__(cls)
        result._context = None
        result._lazy = data
        result._state = None
        return result

    def serialize(self) -> bytes:
        """Return TenSEAL's bytes of this object, without its context."""
        if self._lazy is not None:
            return self._lazy
        return self._dump()

    @abstractmethod
    def _dump(self) -> bytes:
        """Return the state as TenSEAL's bytes."""

    def _secret_key(self, secret_key: SecretKey | None) -> Any:
        self._link_check()
        if secret_key is None:
            if not self._context.has_secret_key():
                raise refusal(
                    ValueError,
                    "the current context of the tensor doesn't hold a secret_key, please provide one as argument",
                )
            return self._context.secret_key()
        if not isinstance(secret_key, SecretKey):
            raise refusal(TypeError, f"incorrect type: {type(secret_key)} != SecretKey")
        return secret_key.data.native

    def _become(self, other: Self) -> Self:
        self._data = other._data
        return self
