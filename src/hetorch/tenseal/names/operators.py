"""Python's operators and TenSEAL's in-place forms, from the plain forms of the operations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

from hetorch.tenseal.scheme.errors import renamed


class Operators(ABC):
    """The operations of encrypted vectors and tensors.

    A class defines the plain forms, which leave the object as it is, and `_become`. The forms whose names end in _
    change the object and return it.
    """

    @abstractmethod
    def _become(self, other: Self) -> Self:
        """Take the state of `other`; return this object."""

    def _in_place(self, operation: Callable[..., Self], function: str, *arguments: Any) -> Self:
        """Take the result of `operation`; a TypeError names `function`, TenSEAL's compiled in-place form."""
        try:
            return self._become(operation(*arguments))
        except TypeError as error:
            raise renamed(error, function) from None

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
        return self._in_place(self.add, "__iadd__", other)

    def sub_(self, other: Any) -> Self:
        return self._in_place(self.sub, "__isub__", other)

    def mul_(self, other: Any) -> Self:
        return self._in_place(self.mul, "__imul__", other)

    def neg_(self) -> Self:
        return self._become(self.neg())

    def square_(self) -> Self:
        return self._become(self.square())

    def pow_(self, power: int) -> Self:
        return self._in_place(self.pow, "pow_", power)

    def sum_(self, axis: int = 0) -> Self:
        return self._in_place(self.sum, "sum_", axis)

    def polyval_(self, coefficients: list[float] | list[int]) -> Self:
        return self._in_place(self.polyval, "polyval_", coefficients)

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
