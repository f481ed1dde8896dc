"""Chebyshev series by Paterson and Stockmeyer, with every product at the scale that makes its sum exact (Bossuat et
al., eprint 2020/1203, section 5): the same splits, levels and scales as the core's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hetorch.engine.polynomial import polynomial_depth
from hetorch.errors import InputError, LevelError, PlanError
from hetorch.interop.seal.objects import SealCiphertext

if TYPE_CHECKING:
    from hetorch.interop.seal.engine import SealEngine


def evaluate_chebyshev(
    engine: SealEngine, x: SealCiphertext, coefficients: Sequence[float], output_scale: float
) -> SealCiphertext:
    """sum_i coefficients[i] T_i(x) at level - polynomial_depth(degree) and exactly `output_scale`."""
    if len(coefficients) < 2 or not all(math.isfinite(c) for c in coefficients):
        raise InputError("a polynomial needs degree 1 or more and finite coefficients")
    depth = polynomial_depth(len(coefficients) - 1)
    if x.level < depth:
        raise LevelError(
            f"a polynomial of degree {len(coefficients) - 1} takes {depth} levels, the ciphertext is at level {x.level}"
        )
    if not (output_scale > 0 and math.isfinite(output_scale)):
        raise LevelError("output_scale must be above 0 and finite")
    if _degree(coefficients) == 0:
        raise PlanError(
            "a polynomial is constant, and SEAL makes no ciphertext that does not depend on the input; use the engine "
            "'native'"
        )
    return _Series(engine, x, depth).evaluate(list(coefficients), x.level - depth, output_scale)


def _degree(c: Sequence[float]) -> int:
    degree = len(c) - 1
    while degree > 0 and c[degree] == 0:
        degree -= 1
    return degree


class _Series:
    """Series up to the square root of the degree are summed from the basis when the levels allow it, longer ones
    split."""

    def __init__(self, engine: SealEngine, x: SealCiphertext, depth: int) -> None:
        self._engine = engine
        self._top = x.level
        self._baby_limit = 1 << ((depth + 1) // 2)
        self._basis = {1: x}

    def evaluate(self, c: list[float], level: int, scale: float) -> SealCiphertext:
        """The series, of degree 1 or more, at exactly this level and scale."""
        degree = _degree(c)
        c = c[: degree + 1]
        if self._is_leaf(c, level):
            return self._leaf(c, level, scale)
        # c = quotient * T_m + remainder, as 2 T_m T_j = T_(m+j) + T_(m-j).
        m = 1 << (degree.bit_length() - 1)
        quotient = [c[m], *(2 * c[m + j] for j in range(1, degree - m + 1))]
        remainder = c[:m]
        for j in range(1, degree - m + 1):
            remainder[m - j] -= c[m + j]
        giant = self._of(m)
        inner = scale * self._prime(level + 1) / giant.scale
        if _degree(quotient) == 0:
            product = self._times(self._engine.drop_level(giant, level + 1), quotient[0], inner)
        else:
            product = self._engine.multiply(self.evaluate(quotient, level + 1, inner), giant)
        result = self._engine.at_scale(self._engine.rescale(product), scale)
        if _degree(remainder) == 0:
            return self._plus(result, remainder[0])
        return self._engine.add(result, self.evaluate(remainder, level, scale))

    def _is_leaf(self, c: list[float], level: int) -> bool:
        if len(c) > self._baby_limit and len(c) > 2:
            return False
        # T_i lives ceil(log2(i)) levels below x.
        return all(c[i] == 0 or self._top - (i - 1).bit_length() >= level + 1 for i in range(1, len(c)))

    def _leaf(self, c: list[float], level: int, scale: float) -> SealCiphertext:
        product_scale = scale * self._prime(level + 1)
        total: SealCiphertext | None = None
        for i in range(1, len(c)):
            if round(c[i] * product_scale / self._of(i).scale) == 0:
                continue
            t = self._engine.drop_level(self._of(i), level + 1)
            term = self._engine.at_scale(self._times(t, c[i], product_scale / t.scale), product_scale)
            total = term if total is None else self._engine.add(total, term)
        if total is None:
            raise PlanError("the coefficients of a polynomial vanish at its scale; use the engine 'native'")
        return self._plus(self._engine.at_scale(self._engine.rescale(total), scale), c[0])

    def _of(self, i: int) -> SealCiphertext:
        """T_i = 2 T_a T_b - T_(a-b) with a = ceil(i/2), b = floor(i/2); made once."""
        if i in self._basis:
            return self._basis[i]
        engine, b = self._engine, i // 2
        a = i - b
        product = engine.multiply(self._of(a), self._of(b))
        twice = engine.add(product, product)
        if a == b:
            twice = self._plus(twice, -1.0)
        else:
            x = engine.drop_level(self._of(1), twice.level)
            shifted = self._times(x, 1.0, twice.scale / x.scale)
            twice = engine.subtract(twice, engine.at_scale(shifted, twice.scale))
        self._basis[i] = engine.rescale(twice)
        return self._basis[i]

    def _times(self, a: SealCiphertext, value: float, scale: float) -> SealCiphertext:
        constant = self._engine.constant(value, level=a.level, scale=scale)
        return self._engine.multiply_plaintext(a, constant)

    def _plus(self, a: SealCiphertext, value: float) -> SealCiphertext:
        return self._engine.add_plaintext(a, self._engine.constant(value, level=a.level, scale=a.scale))

    def _prime(self, level: int) -> int:
        return self._engine.parameters.modulus_chain[level]
