"""Groups of values that have the same placement in the slots because element-wise operations join them."""

from __future__ import annotations

from hetorch.ir.tensor_program import Affine, TensorProgram


def value_groups(program: TensorProgram) -> list[int]:
    """Return the group of each value, named by the lowest value in it.

    Sums, products and polynomials work slot by slot, so their operands and results need the same placement: they are in
    one group. Only an affine map leads from one group to another.
    """
    parent = list(range(program.value_count))

    def root(value: int) -> int:
        while parent[value] != value:
            value = parent[value]
        return value

    for index, op in enumerate(program.operations):
        if not isinstance(op, Affine):
            for value in op.reads:
                low, high = sorted((root(value), root(index + 1)))
                parent[high] = low
    return [root(value) for value in range(program.value_count)]
