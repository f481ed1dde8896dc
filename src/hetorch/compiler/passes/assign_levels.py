"""Pass: assign the level of every value, counted from the output, which is at level 0.

*Assumes* a program without activations.
*Ensures* that every value is at least the depth of each operation that reads it above that operation's result. Each
value is at the lowest such level: operations at low levels are cheap, so nothing waits high up. A reader that needs a
value lower gets a copy that is dropped there.
"""

from __future__ import annotations

from hetorch.ir.tensor_program import TensorProgram


def assign_levels(program: TensorProgram) -> tuple[int, ...]:
    """Return one level a value; the first is that of a fresh ciphertext."""
    levels = [0] * program.value_count
    for index in range(len(program.operations) - 1, -1, -1):
        op = program.operations[index]
        needed = levels[index + 1] + op.depth
        for value in op.reads:
            levels[value] = max(levels[value], needed)
    return tuple(levels)
