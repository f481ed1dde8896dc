"""Pass: the exact scale of every value, so that nothing drifts and sums meet at equal scales.

A value whose calibrated size is M gets the scale 2^bits / M: every ciphertext then uses its modulus equally well,
whatever the numbers of the model are. What a polynomial reads has the scale 2^bits whatever it held in calibration:
each doubling of the basis squares how far the scale is from the prime's, so that 2^d too much is 2^(d k) at T_k. Where
the scale is not free (products: s_a s_b / q) it follows, and the free operand of a sum takes the scale of the other
one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hetorch.compiler.passes.balance_sums import is_free
from hetorch.ir.tensor_program import Add, Chebyshev, Multiply, TensorProgram


def assign_scales(
    program: TensorProgram,
    levels: Sequence[int],
    sizes: Sequence[float],
    scale_bits: float,
    modulus_chain: Sequence[int] | None,
) -> tuple[float, ...]:
    """One scale a value. `sizes` are the largest absolute values; `modulus_chain` None stands for primes of exactly
    2^scale_bits (while parameters are being chosen)."""
    consumers = program.consumers()
    # The largest value of [-1, 1], where polynomials are fitted. The scale of a sum is that of the sums in it.
    series = {op.input for op in program.operations if isinstance(op, Chebyshev)}
    for value in range(program.value_count - 1, 0, -1):
        op = program.operations[value - 1]
        if value in series and isinstance(op, Add):
            series |= {
                part for part in (op.a, op.b) if part and isinstance(program.operations[part - 1], Add)
            }
    sizes = [1.0 if value in series else size for value, size in enumerate(sizes)]
    scales: list[float] = [0.0] * program.value_count
    partner: dict[int, int] = {}
    for index, op in enumerate(program.operations):
        if isinstance(op, Add):
            free, other = (op.b, op.a) if is_free(program, consumers, op.b) else (op.a, op.b)
            if is_free(program, consumers, other):
                # Both are free: they meet at the scale that suits the sum.
                partner[free] = partner[other] = index + 1
            else:
                partner[free] = other
    for value in range(program.value_count):
        _scale(program, value, scales, partner, levels, sizes, scale_bits, modulus_chain)
    return tuple(scales)


def nominal_scale(size: float, scale_bits: float) -> float:
    """2^bits / size, the size rounded up to a power of two."""
    return math.ldexp(2.0**scale_bits, -math.ceil(math.log2(size)) if size > 0 else 0)


def _scale(
    program: TensorProgram,
    value: int,
    scales: list[float],
    partner: dict[int, int],
    levels: Sequence[int],
    sizes: Sequence[float],
    bits: float,
    chain: Sequence[int] | None,
) -> float:
    """Fills scales[value] and what it depends on. It ends: a free operand is read by its sum alone, so nothing that its
    partner is made of depends on it."""
    if scales[value]:
        return scales[value]

    def of(other: int) -> float:
        return _scale(program, other, scales, partner, levels, sizes, bits, chain)

    op = program.operations[value - 1] if value else None
    if isinstance(op, Multiply):
        # The product is at the level of its operands' use: one above the result's.
        prime = 2.0**bits if chain is None else chain[levels[value] + 1]
        scales[value] = of(op.a) * of(op.b) / prime
    elif isinstance(op, Add):
        free_partner = next((partner[v] for v in (op.a, op.b) if v in partner), value)
        scales[value] = nominal_scale(sizes[value], bits) if free_partner == value else of(free_partner)
    elif value in partner:
        scales[value] = of(partner[value])
    else:
        scales[value] = nominal_scale(sizes[value], bits)
    return scales[value]
