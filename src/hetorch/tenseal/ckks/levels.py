"""How CKKS ciphertexts meet: TenSEAL's rules for scales and levels, and exact scales on the way down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hetorch.tenseal.ckks.context import CkksContext
from hetorch.tenseal.ckks.element import EXACT, Element, close
from hetorch.tenseal.scheme.errors import refusal

Reals = NDArray[np.float64]


class Levels:
    """Brings elements that began with `scale` to common levels, under the switches that `context` has at the call.

    Methods raise ValueError where TenSEAL's rules forbid an operation: scales that differ, levels that differ with
    `auto_mod_switch` off, products beyond the modulus.
    """

    __slots__ = ("_ladder", "context", "scale")

    def __init__(self, context: CkksContext, scale: float) -> None:
        self.context = context
        self.scale = scale
        self._ladder = context.ladder(scale)

    def meet(self, a: Element, b: Element) -> tuple[Element, Element]:
        """Return both at one level and, to within the tolerance of sums, one exact scale."""
        self.check_levels(a, b)
        if a.label != b.label:
            raise refusal(
                ValueError,
                "scale mismatch",
                f"the scales are 2^{math.log2(a.label):.2f} and 2^{math.log2(b.label):.2f}; encrypt with one scale, "
                "and rescale both or neither",
            )
        if a.level > b.level:
            return self.lower(a, b.level, b.core.scale), b
        if b.level > a.level:
            return a, self.lower(b, a.level, a.core.scale)
        if close(a.core.scale, b.core.scale):
            return a, b
        # Two ciphertexts of one level differ in exact scale if one came from elsewhere. They can meet a level below.
        if a.level == 0:
            raise refusal(
                ValueError,
                "scale mismatch",
                "the exact scales differ, and no level is left to make them equal",
            )
        level, scale = a.level - 1, self._ladder[a.level - 1]
        return self.lower(a, level, scale), self.lower(b, level, scale)

    def lower(self, a: Element, level: int, scale: float) -> Element:
        """Return `a` at a lower level and exactly `scale` there.

        Primes are dropped; where the scale differs, the last one is divided away after a product with a constant.
        """
        evaluator = self.context.evaluator
        if abs(a.core.scale - scale) <= EXACT * scale:
            return Element(evaluator.drop_level(a.core, level), a.label)
        above = evaluator.drop_level(a.core, level + 1)
        factor = scale * self.prime(level + 1) / a.core.scale
        return Element(evaluator.rescale(evaluator.sum_of_weights([above], np.ones(1), factor)), a.label)

    def level_all(self, elements: Sequence[Element]) -> list[Element]:
        """Return all at the lowest of their levels and its scale, so that the core can take them as one sum."""
        lowest = min(elements, key=lambda element: element.level)
        if all(e.level == lowest.level and close(e.core.scale, lowest.core.scale) for e in elements):
            return list(elements)
        labels = {element.label for element in elements}
        if len(labels) > 1:
            raise refusal(
                ValueError, "scale mismatch", "some of the ciphertexts were rescaled and others not"
            )
        return [self.meet(element, lowest)[0] for element in elements]

    def towards(self, elements: list[Element], other: Element, level: int) -> list[Element]:
        """Return the elements lowered to `level` so that their product with `other` lands on the ladder.

        It does if both are on the ladder and the product will be rescaled; the exact scale stays as it is otherwise.
        """
        scale = elements[0].core.scale
        if level > 0 and self.context.auto_rescale and elements[0].label == other.label == self.scale:
            scale = self._ladder[level - 1] * self.prime(level) / other.core.scale
        return [self.lower(element, level, scale) for element in elements]

    def plain_factors(
        self, a: Sequence[Element], *, any_level: bool = False
    ) -> tuple[list[Element], float, float]:
        """Prepare a product with plaintexts.

        Args:
            a: the encrypted factors.
            any_level: as in TenSEAL's matrix products, which bring the plaintext down even with auto_mod_switch off.

        Returns:
            The elements at one level, TenSEAL's scale of the product, and the scale to encode the plaintexts at.
        """
        terms = self.level_all(a)
        if not any_level:
            self.check_plain_level(terms[0], "encrypted_ntt and plain_ntt parameter mismatch")
        label = terms[0].label * self.scale
        level = terms[0].level
        self.check_product(label, level)
        encoded = self.scale
        if self.context.auto_rescale:
            if level == 0:
                raise end_of_chain()
            if terms[0].label == self.scale:
                encoded = self._ladder[level - 1] * self.prime(level) / terms[0].core.scale
        return terms, label, encoded

    def prime(self, level: int) -> float:
        """Return the prime that a rescale at `level` divides by."""
        return float(self.context.parameters.modulus_chain[level])

    # Checks

    def check_levels(self, a: Element, b: Element) -> None:
        if a.level != b.level and not self.context.auto_mod_switch:
            raise refusal(
                ValueError,
                "encrypted1 and encrypted2 parameter mismatch",
                f"the levels are {a.level} and {b.level}, and auto_mod_switch is off",
            )

    def check_plain_level(self, a: Element, text: str) -> None:
        if not self.context.auto_mod_switch and a.level != self.context.parameters.max_level:
            raise refusal(
                ValueError,
                text,
                f"the ciphertext is at level {a.level}, plaintexts are encoded at the highest, and auto_mod_switch is "
                "off",
            )

    def check_plain_sum(self, a: Element) -> None:
        self.check_plain_level(a, "encrypted and plain parameter mismatch")
        if a.label != self.scale:
            raise refusal(
                ValueError,
                "scale mismatch",
                f"the ciphertext has scale 2^{math.log2(a.label):.2f}, plaintexts are encoded at "
                f"2^{math.log2(self.scale):.2f}; rescale products (auto_rescale) before adding to them",
            )

    def check_product(self, label: float, level: int) -> None:
        if math.log2(label) >= self.context.log2_moduli[level]:
            raise refusal(
                ValueError,
                "scale out of bounds",
                f"the product would have scale 2^{math.log2(label):.2f}, the modulus at level {level} has "
                f"{self.context.log2_moduli[level]:.1f} bits; use smaller scales, more primes, or auto_rescale",
            )

    def check_value(self, value: float, scale: float, level: int) -> None:
        if not math.isfinite(value):
            raise refusal(ValueError, "value must be finite", f"got {value}")
        if value != 0 and math.log2(abs(value)) + math.log2(scale) + 1 >= self.context.log2_moduli[level]:
            raise refusal(
                ValueError,
                "encoded value is too large",
                f"{value:.6g} at scale 2^{math.log2(scale):.2f}, under a modulus of "
                f"{self.context.log2_moduli[level]:.1f} bits",
            )


def end_of_chain() -> Exception:
    """Return the error of a rescale at the last level."""
    return refusal(
        ValueError, "end of modulus switching chain reached", "no prime is left for the product's rescale"
    )
