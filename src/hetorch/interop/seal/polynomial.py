"""Chebyshev series on SEAL, by the schedule that the core follows too (hetorch.engine.polynomial).

SEAL relinearises and rescales every product by itself, where the core first adds up those of one series: the levels
and scales are the same, the operations are more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hetorch.engine.polynomial import BasisStep, Series, chebyshev_schedule, polynomial_depth
from hetorch.errors import InputError, LevelError, PlanUseError
from hetorch.interop.seal.arithmetic import SealArithmetic
from hetorch.interop.seal.objects import SealCiphertext
from hetorch.quantities import count_text


def evaluate_chebyshev(
    engine: SealArithmetic, x: SealCiphertext, coefficients: Sequence[float], output_scale: float
) -> SealCiphertext:
    """Return sum_i coefficients[i] T_i(x) at level - polynomial_depth(degree) and exactly `output_scale`.

    InputError for a degree of 0 or a coefficient that is not finite, LevelError for missing levels or a scale that is
    not above 0, PlanUseError for a polynomial that is constant at its scale: SEAL makes no such ciphertext.
    """
    if len(coefficients) < 2 or not all(math.isfinite(c) for c in coefficients):
        raise InputError("a polynomial needs degree 1 or more and finite coefficients")
    depth = polynomial_depth(len(coefficients) - 1)
    if x.level < depth:
        raise LevelError(
            f"a polynomial of degree {len(coefficients) - 1} takes {count_text(depth, 'level')}, the "
            f"ciphertext is at level {x.level}"
        )
    if not (output_scale > 0 and math.isfinite(output_scale)):
        raise LevelError("output_scale must be above 0 and finite")
    schedule = chebyshev_schedule(
        coefficients,
        level=x.level,
        input_scale=x.scale,
        output_scale=output_scale,
        modulus_chain=engine.parameters.modulus_chain,
    )
    if len(schedule.series.coefficients) == 1:
        raise PlanUseError(
            "a polynomial is constant, and SEAL makes no ciphertext that does not depend on the input; use the engine "
            "'native'"
        )
    walk = _Walk(engine, x)
    for step in schedule.basis:
        walk.make(step)
    return walk.series(schedule.series)


class _Walk:
    def __init__(self, engine: SealArithmetic, x: SealCiphertext) -> None:
        self._engine = engine
        self._basis = {1: x}

    def make(self, step: BasisStep) -> None:
        engine = self._engine
        product = engine.multiply(self._basis[step.left], self._basis[step.right])
        twice = engine.add(product, product)
        if step.left == step.right:
            twice = self._plus(twice, -1.0)
        else:
            x = engine.drop_level(self._basis[1], twice.level)
            shifted = self._times(x, 1.0, twice.scale / x.scale)
            twice = engine.subtract(twice, engine.at_scale(shifted, twice.scale))
        self._basis[step.index] = engine.at_scale(engine.rescale(twice), step.scale)

    def series(self, series: Series) -> SealCiphertext:
        """Return the series, of degree 1 or more, at exactly its level and scale."""
        engine = self._engine
        total = series.scale * engine.parameters.modulus_chain[series.level + 1]
        parts = []
        for product in series.products:
            giant = self._basis[product.giant]
            if isinstance(product.factor, Series):
                raised = engine.multiply(self.series(product.factor), giant)
            else:
                lowered = engine.drop_level(giant, series.level + 1)
                raised = self._times(lowered, product.factor, total / giant.scale)
            parts.append(engine.at_scale(engine.rescale(raised), series.scale))
        if series.terms:
            parts.append(self._sum(series, total))
        whole = parts[0]
        for part in parts[1:]:
            whole = engine.add(whole, part)
        return self._plus(whole, series.constant)

    def _sum(self, series: Series, total: float) -> SealCiphertext:
        """Return the terms of a series, added up at the scale `total` and rescaled. SEAL multiplies by no plaintext of
        zeros, so a constant that is rounded to 0 leaves with its term."""
        engine = self._engine
        whole: SealCiphertext | None = None
        for i, factor in series.terms:
            element = self._basis[i]
            if round(factor * total / element.scale) == 0:
                continue
            lowered = engine.drop_level(element, series.level + 1)
            term = engine.at_scale(self._times(lowered, factor, total / element.scale), total)
            whole = term if whole is None else engine.add(whole, term)
        if whole is None:
            raise PlanUseError(
                "the coefficients of a polynomial vanish at its scale; use the engine 'native'"
            )
        return engine.at_scale(engine.rescale(whole), series.scale)

    def _times(self, a: SealCiphertext, value: float, scale: float) -> SealCiphertext:
        constant = self._engine.constant(value, level=a.level, scale=scale)
        return self._engine.multiply_plaintext(a, constant)

    def _plus(self, a: SealCiphertext, value: float) -> SealCiphertext:
        return self._engine.add_plaintext(a, self._engine.constant(value, level=a.level, scale=a.scale))
