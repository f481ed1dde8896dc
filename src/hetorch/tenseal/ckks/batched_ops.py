"""One operation on many CKKS ciphertexts in one call of the core, whose threads share the work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hetorch.engine.native import Ciphertext
from hetorch.tenseal.ckks.arithmetic import Arithmetic
from hetorch.tenseal.ckks.element import Element, close
from hetorch.tenseal.scheme.batched_ops import OneByOne


class InOneCall(OneByOne):
    """Gives the core all elements at once where they are alike, as those of a tensor nearly always are.

    Elements that differ in level or scale are taken one by one, with the same results.
    """

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
            return super().sums_of_products(a, b, terms)  # it raises the error for this case
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
            return super().sums_of_constants(a, weights, terms)  # it encrypts zeros anew
        rescale = self.arithmetic.context.auto_rescale
        sums = self.arithmetic.context.evaluator.sums_of_weights(_cores(a), array, terms, encoded, rescale)
        return _labelled(sums, self.arithmetic.scale if rescale else label)


def _cores(elements: Sequence[Element]) -> list[Ciphertext]:
    return [element.core for element in elements]


def _labelled(cores: Sequence[Ciphertext], label: float) -> list[Element]:
    return [Element(core, label) for core in cores]


def _alike(elements: Sequence[Element]) -> bool:
    """Return True if there are any elements and all have one level and one scale."""
    if not elements:
        return False
    first = elements[0]
    level, scale, label = first.level, first.core.scale, first.label
    return all(e.core.level == level and e.core.scale == scale and e.label == label for e in elements)


def _meet(a: Element, b: Element) -> bool:
    """Return True if the two can be added as they are."""
    return a.label == b.label and a.level == b.level and close(a.core.scale, b.core.scale)
