"""The values of which only the real part counts, because bootstraps follow: CoeffsToSlots drops the imaginary part."""

from __future__ import annotations

from collections.abc import Sequence

from hetorch.ir.tensor_program import Add, TensorProgram


def values_with_free_imaginary_parts(program: TensorProgram, levels: Sequence[int]) -> frozenset[int]:
    """Return the values whose slots may have any imaginary part: sums and bootstraps alone read them as they are.

    Args:
        program: the network, without activations and bootstraps.
        levels: the level at which each value is made; what reads it above its level reads it after a bootstrap.
    """
    free: set[int] = set(range(1, program.value_count)) - {program.output}
    for index in range(len(program.operations) - 1, -1, -1):
        op, result = program.operations[index], index + 1
        if isinstance(op, Add) and result in free:
            continue
        free -= {value for value in op.reads if levels[result] + op.depth <= levels[value]}
    return frozenset(free)
