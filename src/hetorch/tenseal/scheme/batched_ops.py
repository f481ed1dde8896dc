"""One operation on many elements: one element after the other, the definition for both schemes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class OneByOne:
    """Applies the operations of `arithmetic`, a scheme's operations on single ciphertexts, to lists of them.

    Methods that take two lists take them of one length. Results have that length and its order.
    """

    def __init__(self, arithmetic: Any) -> None:
        self.arithmetic = arithmetic

    def negate(self, a: Sequence[Any]) -> list[Any]:
        return [self.arithmetic.negate(x) for x in a]

    def square(self, a: Sequence[Any]) -> list[Any]:
        return [self.arithmetic.square(x) for x in a]

    def add(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        return [self.arithmetic.add(x, y) for x, y in zip(a, b, strict=True)]

    def subtract(self, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        return [self.arithmetic.subtract(x, y) for x, y in zip(a, b, strict=True)]

    def add_constants(self, a: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        return [self.arithmetic.add_constant(x, value) for x, value in zip(a, values, strict=True)]

    def sums_of_products(self, a: Sequence[Any], b: Sequence[Any], terms: int) -> list[Any]:
        """Return the sum of each run of `terms` products of a and b."""
        return [
            self.arithmetic.sum_of_products(a[i : i + terms], b[i : i + terms])
            for i in range(0, len(a), terms)
        ]

    def sums_of_constants(self, a: Sequence[Any], weights: Sequence[Any], terms: int) -> list[Any]:
        """Return the sum of each run of `terms` elements times their weights."""
        return [
            self.arithmetic.sum_of_constants(a[i : i + terms], weights[i : i + terms])
            for i in range(0, len(a), terms)
        ]
