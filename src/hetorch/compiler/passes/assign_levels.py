"""Pass: the level of every value, counted from the output, which is at level 0.

Each value is at the lowest level at which it can still be used: operations at low levels are cheap, so nothing waits
high up. A value that some reader needs lower is dropped there for that reader.
"""

from __future__ import annotations

from hetorch.ir.tensor_program import TensorProgram


def assign_levels(program: TensorProgram) -> tuple[int, ...]:
    """One level a value; level[0] is that of a fresh ciphertext."""
    levels = [0] * program.value_count
    for index in range(len(program.operations) - 1, -1, -1):
        op = program.operations[index]
        needed = levels[index + 1] + op.depth
        for value in op.reads:
            levels[value] = max(levels[value], needed)
    return tuple(levels)
