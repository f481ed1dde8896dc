"""Pass: assign the exact scale of every value, so that scales do not drift and the operands of sums have equal ones.

*Assumes* that every sum has an operand whose scale is free (balance_sums), and levels as assign_levels gives them.
*Ensures* that the operands of every sum have equal scales, up to the rounding of floating point.

A value whose largest absolute value in calibration is M gets the scale 2^bits / M: every ciphertext then uses its
modulus equally well, whatever the numbers of the model are. What a polynomial reads has the scale 2^bits whatever its
calibration: each doubling of the basis squares the ratio of the scale to the prime, so that a ratio of 2^d becomes
2^(d k) at T_k. So have the values that the products of a polynomial of degree 3 and more read
(activations.exact_polynomials). Where the scale is not free (products: s_a s_b / q) it follows, and the free operand of
a sum takes the scale of the other one. The scale of a series has a limit, because q_0 must exceed it
(search.feasibility).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from hetorch.compiler.passes.balance_sums import is_free
from hetorch.ir.tensor_program import POLYNOMIAL, Add, Chebyshev, Multiply, TensorProgram

MOST_SERIES_BITS = 48
"""Largest size in bits of the scale of a series at level 0: a bit below the largest prime. Raised, q_0 may be too small
for it; lowered, series with tiny values have fewer bits."""


def assign_scales(
    program: TensorProgram,
    levels: Sequence[int],
    sizes: Sequence[float],
    scale_bits: float,
    modulus_chain: Sequence[int] | None,
) -> tuple[float, ...]:
    """Return one scale per value.

    Args:
        program: the network, without activations.
        levels: one per value.
        sizes: the largest absolute value of each value in calibration.
        scale_bits: bits of the scale of a value of size 1.
        modulus_chain: the primes; None stands for primes of exactly 2^scale_bits, while parameters are being chosen.
    """
    # Polynomials are fitted on [-1, 1]. The scale of a sum is that of the sums in it.
    inside = _read_by_polynomials(program)
    sizes = [1.0 if value in inside else size for value, size in enumerate(sizes)]
    scales = _Scales(program, levels, sizes, scale_bits, modulus_chain, _partners(program))
    return tuple(scales.of(value) for value in range(program.value_count))


def nominal_scale(size: float, scale_bits: float) -> float:
    """Return 2^bits / size, the size rounded up to a power of two; 2^bits for a size of 0."""
    return math.ldexp(2.0**scale_bits, -math.ceil(math.log2(size)) if size > 0 else 0)


def _read_by_polynomials(program: TensorProgram) -> set[int]:
    """Return the values that polynomials read, and the sums within those that are sums.

    Polynomials are series, and products of products that are written as one.
    """
    values = {op.input for op in program.operations if isinstance(op, Chebyshev)}
    for op in program.operations:
        if isinstance(op, Multiply) and op.kind.startswith(POLYNOMIAL) and op.kind[-1] > "2":
            values |= {op.a, op.b}
    for value in range(program.value_count - 1, 0, -1):
        op = program.operations[value - 1]
        if value in values and isinstance(op, Add):
            values |= {
                part for part in (op.a, op.b) if part and isinstance(program.operations[part - 1], Add)
            }
    return values


def _partners(program: TensorProgram) -> dict[int, int]:
    """Return, for each free operand of a sum, the value whose scale it takes: the other operand, or the sum itself."""
    consumers = program.consumers()
    partner: dict[int, int] = {}
    for index, op in enumerate(program.operations):
        if isinstance(op, Add):
            free, other = (op.b, op.a) if is_free(program, consumers, op.b) else (op.a, op.b)
            if is_free(program, consumers, other):
                # Both are free: they meet at the scale that suits the sum.
                partner[free] = partner[other] = index + 1
            else:
                partner[free] = other
    return partner


@dataclass(frozen=True, slots=True, eq=False)
class _Scales:
    """The scales that are known so far, and the facts that the others follow from."""

    program: TensorProgram
    levels: Sequence[int]
    sizes: Sequence[float]
    bits: float
    chain: Sequence[int] | None
    partner: dict[int, int]
    known: dict[int, float] = field(default_factory=dict)

    def of(self, value: int) -> float:
        """Return the scale of `value`; the scales that it depends on are computed first.

        The recursion ends: only its sum reads a free operand, so its partner does not depend on it.
        """
        if value not in self.known:
            self.known[value] = self._scale(value)
        return self.known[value]

    def _scale(self, value: int) -> float:
        op = self.program.operations[value - 1] if value else None
        if isinstance(op, Multiply):
            # The product is at the level of its operands' use: one above the result's.
            prime = 2.0**self.bits if self.chain is None else self.chain[self.levels[value] + 1]
            return self.of(op.a) * self.of(op.b) / prime
        if isinstance(op, Add):
            takes_from = next((self.partner[v] for v in (op.a, op.b) if v in self.partner), value)
            return nominal_scale(self.sizes[value], self.bits) if takes_from == value else self.of(takes_from)
        if value in self.partner:
            return self.of(self.partner[value])
        scale = nominal_scale(self.sizes[value], self.bits)
        if isinstance(op, Chebyshev) and self.levels[value] == 0:
            return min(scale, 2.0**MOST_SERIES_BITS)
        return scale
