"""Pass: write bootstraps into a program, as operations.

*Assumes* a choice of levels for the program.
*Ensures* that each value that is read above the level at which it was made is read after its bootstrap; the others are
read as they are, because a bootstrap adds noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hetorch.compiler.bootstraps.choose_levels import LevelChoice
from hetorch.ir.tensor_program import MASK, Affine, Bootstrap, Chebyshev, TensorOp, TensorProgram

ROOM = 1.25
"""The least bound of a bootstrap relative to the largest value in calibration. Raised, larger unseen values come back
right, and bootstraps add more noise."""

REFRESHED = ".bootstrap"
"""End of the name of a bootstrap, after that of its value."""


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrapped:
    """A program with its bootstraps, the level of each value, and the number of each value before the pass.

    `sources`: by value, the value of the program before the pass that it stands for.
    """

    program: TensorProgram
    levels: tuple[int, ...]
    sources: tuple[int, ...]


def insert_bootstraps(
    program: TensorProgram, choice: LevelChoice, sizes: Sequence[float], output_level: int
) -> Bootstrapped:
    """Return the program with an operation for each bootstrap.

    Args:
        program: the network, without activations.
        choice: the levels, and the values that are bootstrapped.
        sizes: the largest absolute value of each value in calibration.
        output_level: the level at which a bootstrap ends.
    """
    in_range = {
        op.input
        for op in program.operations
        if isinstance(op, Chebyshev) or (isinstance(op, Affine) and op.kind == MASK)
    }
    operations: list[TensorOp] = []
    levels, sources = [choice.levels[0]], [0]
    made, refreshed = {0: 0}, {0: 0}
    for index, op in enumerate(program.operations):
        value, level = index + 1, choice.levels[index + 1]
        low = all(level + op.depth <= choice.levels[source] for source in op.reads)
        number = made if low else {**made, **_above(op, choice, level, refreshed)}
        operations.append(op.renumbered(number))
        levels.append(level)
        sources.append(value)
        made[value] = refreshed[value] = len(operations)
        if value in choice.bootstrapped:
            bound = bootstrap_bound(sizes[value], value in in_range)
            operations.append(Bootstrap(made[value], bound, op.shape, f"{op.name}{REFRESHED}"))
            levels.append(output_level)
            sources.append(value)
            refreshed[value] = len(operations)
    return Bootstrapped(
        TensorProgram(program.input_shape, tuple(operations), made[program.output], program.output_shape),
        tuple(levels),
        tuple(sources),
    )


def bootstrap_bound(size: float, in_range: bool) -> float:
    """Return the bound of a bootstrap: a power of two, so that bound and scale have few products.

    Args:
        size: the largest absolute value in calibration.
        in_range: True for a value that a polynomial reads, which is within [-1, 1] or beyond the polynomial's range.
    """
    if in_range:
        return 1.0
    return math.ldexp(1.0, math.ceil(math.log2(ROOM * size))) if size > 0 else 1.0


def _above(op: TensorOp, choice: LevelChoice, level: int, refreshed: dict[int, int]) -> dict[int, int]:
    """Return the operands of `op` that lie below the level at which it reads, each with the number of its bootstrap."""
    return {source: refreshed[source] for source in op.reads if level + op.depth > choice.levels[source]}
