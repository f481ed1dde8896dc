"""The time that a polynomial adds to a network, about, in products of ciphertexts at one level.

A product takes time in proportion to the level at which it is made. A polynomial costs its own products, and each of
its levels lifts everything before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hetorch.compiler.activations.longest_path import levels_used
from hetorch.compiler.activations.replacement import Replacement
from hetorch.compiler.costs.series_products import series_products
from hetorch.ir.tensor_program import Activation, Affine, Chebyshev, Multiply, TensorProgram

USUAL_DEPTH, USUAL_PRODUCTS = 4, 8.0
"""Levels and products of a polynomial that is not yet chosen."""
MAP_PRODUCTS = 10.0
"""Products that take as long as an affine map between two activations. Raised, levels cost more beside products."""
SLOTS = 1 << 14
"""Numbers of a ciphertext."""
CONSTANT = 2.0
"""Levels that take as long as the part of an operation that does not depend on its level."""


@dataclass(frozen=True, slots=True)
class Place:
    """An activation in its network: its ciphertexts, the levels after it, and the products before it."""

    ciphertexts: int
    after: int
    before: float

    def time(self, out: Replacement) -> float:
        """Return the time of the operations that replace the activation."""
        depth = out.depth()
        own = self.ciphertexts * products(out) * (self.after + depth / 2 + CONSTANT)
        return own + depth * self.before


def products(out: Replacement) -> float:
    """Return the products of ciphertexts that take as long as the replacement."""
    total = 0.0
    for op in out.operations:
        if isinstance(op, Chebyshev):
            total += series_products(op.coefficients)
        elif isinstance(op, Multiply):
            total += 1.0
    return total


def places(program: TensorProgram) -> tuple[Place, ...]:
    """Return the place of each activation, in order, as if all polynomials were usual ones."""
    count = sum(isinstance(op, Activation) for op in program.operations)
    levels = levels_used(program, [USUAL_DEPTH] * count)
    result: list[Place] = []
    before = 0.0
    for index, op in enumerate(program.operations):
        ciphertexts = _ciphertexts(op.shape)
        if isinstance(op, Activation):
            result.append(Place(ciphertexts, levels[program.output] - levels[index + 1], before))
            before += USUAL_PRODUCTS * ciphertexts
        elif isinstance(op, Affine):
            before += MAP_PRODUCTS * ciphertexts
        elif isinstance(op, Multiply):
            before += ciphertexts
    return tuple(result)


def _ciphertexts(shape: Sequence[int]) -> int:
    return max(1, math.ceil(math.prod(shape) / SLOTS))
