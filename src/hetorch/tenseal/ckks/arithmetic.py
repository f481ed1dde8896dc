"""The operations on CKKS ciphertexts, and what follows a product by itself: relinearisation and rescaling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hetorch.engine.native import Ciphertext
from hetorch.tenseal.ckks.element import Element, alike
from hetorch.tenseal.ckks.levels import Levels, Reals, end_of_chain
from hetorch.tenseal.scheme.errors import encoding_errors


class Arithmetic(Levels):
    """Operations on elements that began with `scale`, under the switches that `context` has at the call.

    A product takes one level with `auto_rescale`. Errors are those of `Levels`, and ValueError for missing keys.
    """

    __slots__ = ()

    # Encryption

    def encrypt(self, values: Reals) -> Element:
        """Encrypt `values` (slot_count,)."""
        return Element(self.context.encrypt(values, self.scale), self.scale)

    def encrypt_constant(self, value: float) -> Element:
        """Encrypt `value` in all slots."""
        self.check_value(value, self.scale, self.context.parameters.max_level)
        return Element(self.context.encrypt_constant(value, self.scale), self.scale)

    # Sums

    def negate(self, a: Element) -> Element:
        return Element(self.context.evaluator.negate(a.core), a.label)

    def add(self, a: Element, b: Element) -> Element:
        if not alike(a, b):
            a, b = self.meet(a, b)
        return Element(self.context.evaluator.add(a.core, b.core), a.label)

    def subtract(self, a: Element, b: Element) -> Element:
        if not alike(a, b):
            a, b = self.meet(a, b)
        return Element(self.context.evaluator.subtract(a.core, b.core), a.label)

    def add_constant(self, a: Element, value: float) -> Element:
        self.check_plain_sum(a)
        self.check_value(value, a.core.scale, a.level)
        return Element(self.context.evaluator.add_constant(a.core, value), a.label)

    def add_values(self, a: Element, values: Reals) -> Element:
        """Add `values`, one period of the slots."""
        self.check_plain_sum(a)
        with encoding_errors(values):
            return Element(self.context.evaluator.add_values(a.core, values), a.label)

    # Products

    def multiply(self, a: Element, b: Element) -> Element:
        return self.sum_of_products([a], [b])

    def square(self, a: Element) -> Element:
        return self.sum_of_products([a], [a])

    def sum_of_products(self, a: Sequence[Element], b: Sequence[Element]) -> Element:
        """Return sum_i a_i b_i, relinearised and rescaled once for the whole sum."""
        left, right = self.level_all(a), self.level_all(b)
        self.check_levels(left[0], right[0])
        label = left[0].label * right[0].label
        level = min(left[0].level, right[0].level)
        self.check_product(label, level)
        if left[0].level > level:
            left = self.towards(left, right[0], level)
        elif right[0].level > level:
            right = self.towards(right, left[0], level)
        evaluator = self.context.evaluator
        product = evaluator.sum_of_products([e.core for e in left], [e.core for e in right])
        if self.context.auto_relin:
            self.context.relin_keys()
            if self.context.auto_rescale and level > 0:
                return Element(evaluator.relinearise_rescale(product), self.scale)
            product = evaluator.relinearise(product)
        return self.rescaled(product, label)

    def multiply_constant(self, a: Element, value: float) -> Element:
        return self.sum_of_constants([a], [value])

    def sum_of_constants(self, a: Sequence[Element], weights: Sequence[float]) -> Element:
        """Return sum_i a_i weights_i, rescaled once; a fresh encryption of zero if all weights vanish at the scale."""
        terms, label, encoded = self.plain_factors(a)
        array = np.asarray(weights, dtype=np.float64)
        for value in array:
            self.check_value(float(value), encoded, terms[0].level)
        if not np.any(np.abs(array) * encoded >= 0.5):
            return self.encrypt_constant(0.0)
        return self.rescaled(
            self.context.evaluator.sum_of_weights([e.core for e in terms], array, encoded), label
        )

    def multiply_values(self, a: Element, values: Reals) -> Element:
        """Multiply by `values`, one period of the slots."""
        return self.sum_of_values([a], values.reshape(1, -1))

    def sum_of_values(self, a: Sequence[Element], values: Reals) -> Element:
        """Return sum_i a_i values[i] in the slots, rescaled once; a fresh encryption of zero if all values vanish."""
        terms, label, encoded = self.plain_factors(a)
        if np.all(np.abs(values) * encoded < 0.5):
            return self.encrypt_constant(0.0)
        return self.rescaled(self.unscaled_sum_of_values(terms, values, encoded).core, label)

    def unscaled_sum_of_values(self, terms: Sequence[Element], values: Reals, encoded: float) -> Element:
        """Return sum_i terms[i] values[i] before its rescale; `encoded` is the scale of the values."""
        with encoding_errors(values):
            product = self.context.evaluator.sum_of_values(
                [e.core for e in terms], np.ascontiguousarray(values, dtype=np.float64), encoded
            )
        return Element(product, terms[0].label * self.scale)

    def rescaled(self, product: Ciphertext, label: float) -> Element:
        """Return a product after the automatic rescale, if that is on."""
        if not self.context.auto_rescale:
            return Element(product, label)
        if product.level == 0:
            raise end_of_chain()
        return Element(self.context.evaluator.rescale(product), self.scale)

    # Rotations

    def rotate(self, a: Element, steps: int) -> Element:
        """Rotate the slots to the left by `steps`."""
        return Element(self.context.rotate(a.core, steps), a.label)

    def window_sum(self, a: Element, count: int) -> Element:
        """Replace slot j by the sum of slots j … j + count - 1 (cyclic), in log2(count) to 2 log2(count) rotations."""
        window, total = a, None
        power = 1
        while True:
            if count & power:
                total = window if total is None else self.add(window, self.rotate(total, power))
            if 2 * power > count:
                assert total is not None
                return total
            window = self.add(window, self.rotate(window, power))
            power *= 2
