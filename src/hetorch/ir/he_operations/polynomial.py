"""Polynomials, as Chebyshev series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from hetorch.engine.polynomial import polynomial_depth
from hetorch.engine.protocol import C, Engine, P, T
from hetorch.ir.he_operations.fields import Coefficients, Layer, Operand, Result
from hetorch.ir.he_operations.operation import Frame, Operation, Slots, Weights, key_switch_rows
from hetorch.params import ParameterSet


@dataclass(frozen=True, slots=True)
class Polynomial(Operation):
    """The Chebyshev series sum_i coefficients[i] * T_i(input), for an input in [-1, 1].

    The result is `depth` levels lower than the input, at any planned scale.
    """

    result: Result
    input: Operand
    coefficients: Coefficients
    layer: Layer

    @property
    def degree(self) -> int:
        """The degree of the series, len(coefficients) - 1; trailing zeros count."""
        return len(self.coefficients) - 1

    @property
    def depth(self) -> int:
        """The number of levels that the series uses."""
        return polynomial_depth(self.degree)

    def result_of(self, frame: Frame, modulus_chain: Sequence[int]) -> tuple[int, float]:
        return self.level(frame) - self.depth, frame.values[self.result].scale

    def problem(self, frame: Frame) -> str | None:
        return None if self.degree >= 1 else "a polynomial needs degree >= 1"

    def relinearises(self, frame: Frame) -> bool:
        return self.depth > 1

    def working_rows(self, frame: Frame, parameters: ParameterSet, weights: Weights, threads: int) -> int:
        # Paterson-Stockmeyer keeps a basis of about 2 sqrt(degree) + log2(degree) ciphertexts; in addition, one product
        # waits for its relinearisation.
        level = self.level(frame)
        kept = 2 * math.isqrt(self.degree) + self.degree.bit_length()
        return 2 * kept * (level + 1) + 3 * (level + 1) + key_switch_rows(parameters, level)

    def evaluate(self, frame: Frame, inputs: Sequence[Slots], weights: Weights) -> list[Slots]:
        return [np.asarray(chebyshev.chebval(inputs[0], self.coefficients))]

    def run(self, engine: Engine[C, P, T], frame: Frame, inputs: Sequence[C], prepared: Any) -> list[C]:
        scale = frame.values[self.result].scale
        return [engine.polynomial(inputs[0], self.coefficients, output_scale=scale)]
