"""The number of levels of a network, from the depths of its activations: multiplications one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from hetorch.ir.tensor_program import Activation, Add, TensorProgram


def longest_path(program: TensorProgram, depths: Sequence[int]) -> int:
    """Return the levels of `program` when its activations, in order, have these depths."""
    return levels_used(program, depths)[program.output]


def levels_used(program: TensorProgram, depths: Sequence[int]) -> tuple[int, ...]:
    """Return the levels up to each value of `program` when its activations, in order, have these depths.

    An estimate: affine maps that scale are taken to fuse with their neighbours, and a function that became a line
    (depth 0) with the maps on both of its sides.
    """
    pending = iter(depths)
    levels = [0]
    # A value that is an affine map of its source still fuses with a following map, once a line stands between them.
    before = [0]
    linear = [False]
    for op in program.operations:
        most = max(levels[value] for value in op.reads)
        source = op.reads[0]
        if isinstance(op, Activation):
            depth = next(pending)
            levels.append(most + depth)
            before.append(before[source] if depth == 0 else most + depth)
            linear.append(depth == 0 and linear[source])
        elif isinstance(op, Add):
            levels.append(most)
            before.append(max(before[value] for value in op.reads))
            linear.append(all(linear[value] for value in op.reads))
        elif op.depth == 1 and len(op.reads) == 1 and not hasattr(op, "coefficients"):
            start = before[source] if linear[source] else most
            levels.append(start + 1)
            before.append(start)
            linear.append(True)
        else:
            levels.append(most + op.depth)
            before.append(most + op.depth)
            linear.append(False)
    return tuple(levels)
