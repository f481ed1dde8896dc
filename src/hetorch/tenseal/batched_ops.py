"""The same operation on many elements: one after the other, or in one call of the core, whose threads share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hetorch.engine.native import Ciphertext
from hetorch.tenseal.element import Arithmetic, Element, close


class Each:
    """One after the other: what every form of these operations gives."""

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
        """The sum of each run of `terms` products of a and b."""
        return [
            self.arithmetic.sum_of_products(a[i : i + terms], b[i : i + terms])
            for i in range(0, len(a), terms)
        ]

    def sums_of_constants(self, a: Sequence[Any], weights: Sequence[Any], terms: int) -> list[Any]:
        """The sum of each run of `terms` elements times their weights."""
        return [
            self.arithmetic.sum_of_constants(a[i : i + terms], weights[i : i + terms])
            for i in range(0, len(a), terms)
        ]


class CoreEach(Each):
    """In one call of the core where the elements are alike, as those of a tensor nearly always are."""

    arithmetic: Arithmetic

    def negate(self, a: Sequence[Element]) -> list[Element]:
        negated = self.arithmetic.context.evaluator.negate_each(_cores(a))
        return [Element(core, x.label) for core, x in zip(negated, a, strict=True)]

    def square(self, a: Sequence[Element]) -> list[Element]:
        return self.sums_of_products(a, a, 1)

    def add(self, a: Sequence[Element], b: Sequence[Element]) -> list[Element]:
        if not _alike(a) or not _alike(b) or not _meet(a[0], b[0]):
            return super().add(a, b)
        return _labelled(self.arithmetic.context.evaluator.add_each(_cores(a), _cores(b)), a[0].label)

    def subtract(self, a: Sequence[Element], b: Sequence[Element]) -> list[Element]:
        if not _alike(a) or not _alike(b) or not _meet(a[0], b[0]):
            return super().subtract(a, b)
        return _labelled(self.arithmetic.context.evaluator.subtract_each(_cores(a), _cores(b)), a[0].label)

    def add_constants(self, a: Sequence[Element], values: Sequence[float]) -> list[Element]:
        if not _alike(a):
            return super().add_constants(a, values)
        array = np.asarray(values, dtype=np.float64)
        self.arithmetic.check_plain_sum(a[0])
        self.arithmetic.check_value(float(np.abs(array).max()), a[0].core.scale, a[0].level)
        return _labelled(self.arithmetic.context.evaluator.add_constants(_cores(a), array), a[0].label)

    def sums_of_products(self, a: Sequence[Element], b: Sequence[Element], terms: int) -> list[Element]:
        context = self.arithmetic.context
        if not _alike(a) or not _alike(b) or a[0].level != b[0].level:
            return super().sums_of_products(a, b, terms)
        if context.auto_rescale and a[0].level == 0:
            return super().sums_of_products(a, b, terms)  # which has the error for it
        label = a[0].label * b[0].label
        self.arithmetic.check_product(label, a[0].level)
        if context.auto_relin:
            context.relin_keys()
        sums = context.evaluator.sums_of_products(
            _cores(a), _cores(b), terms, context.auto_relin, context.auto_rescale
        )
        return _labelled(sums, self.arithmetic.scale if context.auto_rescale else label)

    def sums_of_constants(self, a: Sequence[Element], weights: Sequence[float], terms: int) -> list[Element]:
        if not _alike(a):
            return super().sums_of_constants(a, weights, terms)
        _, label, encoded = self.arithmetic.plain_factors(a[:1])
        array = np.asarray(weights, dtype=np.float64)
        largest = np.abs(array).reshape(-1, terms).max(axis=1)
        self.arithmetic.check_value(float(largest.max()), encoded, a[0].level)
        if np.any(largest * encoded < 0.5):
            return super().sums_of_constants(a, weights, terms)  # zeros are encrypted anew there
        rescale = self.arithmetic.context.auto_rescale
        sums = self.arithmetic.context.evaluator.sums_of_weights(_cores(a), array, terms, encoded, rescale)
        return _labelled(sums, self.arithmetic.scale if rescale else label)


def _cores(elements: Sequence[Element]) -> list[Ciphertext]:
    return [element.core for element in elements]


def _labelled(cores: Sequence[Ciphertext], label: float) -> list[Element]:
    return [Element(core, label) for core in cores]


def _alike(elements: Sequence[Element]) -> bool:
    """Whether there are any, of one level and scale."""
    if not elements:
        return False
    first = elements[0]
    level, scale, label = first.level, first.core.scale, first.label
    return all(e.core.level == level and e.core.scale == scale and e.label == label for e in elements)


def _meet(a: Element, b: Element) -> bool:
    """Whether the two can be added as they are."""
    return a.label == b.label and a.level == b.level and close(a.core.scale, b.core.scale)
