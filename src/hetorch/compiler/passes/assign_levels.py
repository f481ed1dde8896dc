"""Pass: assign the level of every value, counted from the output, which is at level 0.

*Assumes* a program without activations.
*Ensures* that the result of each operation is at least the operation's depth below every value that it reads. Each
value is at the lowest such level, because operations at low levels are cheap. An operation that needs the value at a
lower level gets a copy that is dropped to it.
"""

from __future__ import annotations

from hetorch.ir.tensor_program import TensorProgram


def assign_levels(program: TensorProgram) -> tuple[int, ...]:
    """Return one level per value; the first is the level of a fresh ciphertext."""
    levels = [0] * program.value_count
    for index in range(len(program.operations) - 1, -1, -1):
        op = program.operations[index]
        needed = levels[index + 1] + op.depth
        for value in op.reads:
            levels[value] = max(levels[value], needed)
    return tuple(levels)
