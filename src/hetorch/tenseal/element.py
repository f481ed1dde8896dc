"""One ciphertext with TenSEAL's rules: which scales and levels may meet, and what happens by itself after a product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.native import Ciphertext
from hetorch.errors import InputError, LevelError
from hetorch.tenseal.ckks_context import CkksContext
from hetorch.tenseal.operands import real_number

Reals = NDArray[np.float64]

# As close as the core wants the operands of a sum (ckks/evaluator.h), and as TenSEAL's own 40-bit primes are to 2^40.
TOLERANCE = 2.0**-20

# Scales that differ less are taken for equal when a level is to be dropped: below what any scale lets one see.
_EXACT = 2.0**-45


@dataclass(frozen=True, slots=True)
class Element:
    """`core` carries the exact scale and the level. `label` is the scale by TenSEAL's bookkeeping, which
    names a rescaled product after the scale it began with: what its errors depend on."""

    core: Ciphertext
    label: float

    @property
    def level(self) -> int:
        return self.core.level


class Arithmetic:
    """Operations on elements that began with `scale`, under the switches of `context` at the time of the call."""

    __slots__ = ("_ladder", "context", "scale")

    def __init__(self, context: CkksContext, scale: float) -> None:
        self.context = context
        self.scale = scale
        self._ladder = context.ladder(scale)

    # Encryption

    def number(self, value: Any) -> float:
        """A plain value as the operations take it."""
        return real_number(value)

    def encrypt(self, values: Reals) -> Element:
        """`values` (slot_count,)."""
        return Element(self.context.encrypt(values, self.scale), self.scale)

    def encrypt_constant(self, value: float) -> Element:
        """`value` in all slots."""
        self.check_value(value, self.scale, self.context.parameters.max_level)
        return Element(self.context.encrypt_constant(value, self.scale), self.scale)

    # Sums

    def negate(self, a: Element) -> Element:
        return Element(self.context.evaluator.negate(a.core), a.label)

    def add(self, a: Element, b: Element) -> Element:
        if not _alike(a, b):
            a, b = self._meet(a, b)
        return Element(self.context.evaluator.add(a.core, b.core), a.label)

    def subtract(self, a: Element, b: Element) -> Element:
        if not _alike(a, b):
            a, b = self._meet(a, b)
        return Element(self.context.evaluator.subtract(a.core, b.core), a.label)

    def add_constant(self, a: Element, value: float) -> Element:
        self.check_plain_sum(a)
        self.check_value(value, a.core.scale, a.level)
        return Element(self.context.evaluator.add_constant(a.core, value), a.label)

    def add_values(self, a: Element, values: Reals) -> Element:
        """`values`: one period of the slots."""
        self.check_plain_sum(a)
        return Element(self.context.evaluator.add_values(a.core, values), a.label)

    def check_plain_sum(self, a: Element) -> None:
        self._check_plain_level(a)
        if a.label != self.scale:
            raise LevelError(
                f"scale mismatch: the ciphertext has scale 2^{math.log2(a.label):.2f}, plaintexts are encoded at "
                f"2^{math.log2(self.scale):.2f}; rescale products (auto_rescale) before adding to them"
            )

    def _check_plain_level(self, a: Element) -> None:
        if not self.context.auto_mod_switch and a.level != self.context.parameters.max_level:
            raise LevelError(
                f"encrypted and plain parameter mismatch: the ciphertext is at level {a.level}, plaintexts are encoded "
                "at the highest, and auto_mod_switch is off"
            )

    def _meet(self, a: Element, b: Element) -> tuple[Element, Element]:
        """Both at one level and, to within the tolerance, one exact scale."""
        if a.label != b.label:
            raise LevelError(
                f"scale mismatch: 2^{math.log2(a.label):.2f} and 2^{math.log2(b.label):.2f}; encrypt with one scale, "
                "and rescale both or neither"
            )
        self._check_levels(a, b)
        if a.level > b.level:
            return self.lower(a, b.level, b.core.scale), b
        if b.level > a.level:
            return a, self.lower(b, a.level, a.core.scale)
        if close(a.core.scale, b.core.scale):
            return a, b
        # Ciphertexts of one level whose exact scales differ: one came from elsewhere. A level below they can meet.
        if a.level == 0:
            raise LevelError(
                "scale mismatch: the exact scales differ, and no level is left to make them equal"
            )
        level, scale = a.level - 1, self._ladder[a.level - 1]
        return self.lower(a, level, scale), self.lower(b, level, scale)

    def _check_levels(self, a: Element, b: Element) -> None:
        if a.level != b.level and not self.context.auto_mod_switch:
            raise LevelError(
                f"encrypted1 and encrypted2 parameter mismatch: levels {a.level} and {b.level}, and auto_mod_switch is "
                "off"
            )

    def lower(self, a: Element, level: int, scale: float) -> Element:
        """`a` at a lower level and exactly `scale` there: by dropping primes, or with a constant on the way."""
        evaluator = self.context.evaluator
        if abs(a.core.scale - scale) <= _EXACT * scale:
            return Element(evaluator.drop_level(a.core, level), a.label)
        above = evaluator.drop_level(a.core, level + 1)
        factor = scale * self._prime(level + 1) / a.core.scale
        return Element(evaluator.rescale(evaluator.sum_of_weights([above], np.ones(1), factor)), a.label)

    def level_all(self, elements: Sequence[Element]) -> list[Element]:
        """All at the lowest of their levels and its scale, so that the core can take them as one sum."""
        lowest = min(elements, key=lambda element: element.level)
        if all(e.level == lowest.level and close(e.core.scale, lowest.core.scale) for e in elements):
            return list(elements)
        scales = {element.label for element in elements}
        if len(scales) > 1:
            raise LevelError("scale mismatch: some of the ciphertexts were rescaled and others not")
        return [self._meet(element, lowest)[0] for element in elements]

    # Products

    def multiply(self, a: Element, b: Element) -> Element:
        return self.sum_of_products([a], [b])

    def square(self, a: Element) -> Element:
        return self.sum_of_products([a], [a])

    def sum_of_products(self, a: Sequence[Element], b: Sequence[Element]) -> Element:
        """sum_i a_i b_i, relinearised and rescaled once for the whole sum."""
        left, right = self.level_all(a), self.level_all(b)
        self._check_levels(left[0], right[0])
        label = left[0].label * right[0].label
        level = min(left[0].level, right[0].level)
        self.check_product(label, level)
        if left[0].level > level:
            left = self._towards(left, right[0], level)
        elif right[0].level > level:
            right = self._towards(right, left[0], level)
        evaluator = self.context.evaluator
        product = evaluator.sum_of_products([e.core for e in left], [e.core for e in right])
        if self.context.auto_relin:
            self.context.relin_keys()
            if self.context.auto_rescale and level > 0:
                return Element(evaluator.relinearise_rescale(product), self.scale)
            product = evaluator.relinearise(product)
        return self.rescaled(product, label)

    def _towards(self, elements: list[Element], other: Element, level: int) -> list[Element]:
        """Lowered so that the product with `other` lands on the ladder, if both are on it and it will be rescaled."""
        scale = elements[0].core.scale
        if level > 0 and self.context.auto_rescale and elements[0].label == other.label == self.scale:
            scale = self._ladder[level - 1] * self._prime(level) / other.core.scale
        return [self.lower(element, level, scale) for element in elements]

    def multiply_constant(self, a: Element, value: float) -> Element:
        return self.sum_of_constants([a], [value])

    def sum_of_constants(self, a: Sequence[Element], weights: Sequence[float]) -> Element:
        """sum_i a_i weights_i, rescaled once; an encryption of zero if all weights vanish at the scale."""
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
        """`values`: one period of the slots."""
        return self.sum_of_values([a], values.reshape(1, -1))

    def sum_of_values(self, a: Sequence[Element], values: Reals) -> Element:
        """sum_i a_i values[i] in the slots, rescaled once; an encryption of zero if all values vanish at the scale."""
        terms, label, encoded = self.plain_factors(a)
        if not np.any(np.abs(values) * encoded >= 0.5):
            return self.encrypt_constant(0.0)
        return self.rescaled(self.unscaled_sum_of_values(terms, values, encoded).core, label)

    def unscaled_sum_of_values(self, terms: Sequence[Element], values: Reals, encoded: float) -> Element:
        """sum_i a_i values[i] before its rescale; `encoded` is the scale of the values."""
        product = self.context.evaluator.sum_of_values(
            [e.core for e in terms], np.ascontiguousarray(values, dtype=np.float64), encoded
        )
        return Element(product, terms[0].label * self.scale)

    def plain_factors(
        self, a: Sequence[Element], *, any_level: bool = False
    ) -> tuple[list[Element], float, float]:
        """The elements at one level, TenSEAL's scale of their product with a plaintext, and the scale to encode at.

        `any_level`: as TenSEAL's matrix products, which bring the plaintext down even with auto_mod_switch off.
        """
        terms = self.level_all(a)
        if not any_level:
            self._check_plain_level(terms[0])
        label = terms[0].label * self.scale
        level = terms[0].level
        self.check_product(label, level)
        encoded = self.scale
        if self.context.auto_rescale:
            if level == 0:
                raise LevelError(
                    "end of modulus switching chain reached: no prime is left for the product's rescale"
                )
            if terms[0].label == self.scale:
                encoded = self._ladder[level - 1] * self._prime(level) / terms[0].core.scale
        return terms, label, encoded

    def rescaled(self, product: Ciphertext, label: float) -> Element:
        """A product after the automatic rescale, if it is on."""
        if not self.context.auto_rescale:
            return Element(product, label)
        if product.level == 0:
            raise LevelError(
                "end of modulus switching chain reached: no prime is left for the product's rescale"
            )
        return Element(self.context.evaluator.rescale(product), self.scale)

    # Rotations

    def rotate(self, a: Element, steps: int) -> Element:
        return Element(self.context.rotate(a.core, steps), a.label)

    def window_sum(self, a: Element, count: int) -> Element:
        """Slot j becomes the sum of slots j … j + count - 1 (cyclic), with log2(count) to 2 log2(count) rotations."""
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

    # Checks

    def _prime(self, level: int) -> float:
        return float(self.context.parameters.modulus_chain[level])

    def check_product(self, label: float, level: int) -> None:
        if math.log2(label) >= self.context.log2_moduli[level]:
            raise LevelError(
                f"scale out of bounds: the product would have scale 2^{math.log2(label):.2f}, the modulus at level "
                f"{level} has {self.context.log2_moduli[level]:.1f} bits; use smaller scales, more primes, or "
                "auto_rescale"
            )

    def check_value(self, value: float, scale: float, level: int) -> None:
        if not math.isfinite(value):
            raise InputError(f"value must be finite, got {value}")
        if value != 0 and math.log2(abs(value)) + math.log2(scale) + 1 >= self.context.log2_moduli[level]:
            raise LevelError(
                f"encoded value is too large: {value:.6g} at scale 2^{math.log2(scale):.2f}, under a modulus of "
                f"{self.context.log2_moduli[level]:.1f} bits"
            )


def _alike(a: Element, b: Element) -> bool:
    """The common case of a sum, told apart with little work: nothing has to be done before it."""
    x, y = a.core, b.core
    return a.label == b.label and x.level == y.level and x.scale == y.scale


def close(a: float, b: float) -> bool:
    """Whether the core adds what has these scales."""
    return abs(a - b) <= TOLERANCE / 2 * max(a, b)
