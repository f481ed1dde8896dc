"""A matrix as generalised diagonals, for a vector that is laid out in the slots in a given way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.tenseal.ckks.layout import Layout
from hetorch.tenseal.ckks.levels import Reals


def power_of_two_from(value: int) -> int:
    """Return the least power of two that is not below `value` >= 1."""
    return 1 << (value - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Diagonals:
    """A matrix as generalised diagonals.

    Output slot i = sum_d values[d][i] * input slot i + first + d; after that come `folds` sums of slots `block` * 2^k
    apart. `values` has one row for each d, one period of the slots long.
    """

    first: int
    values: Reals
    block: int
    folds: int
    output: Layout


def diagonals_of(matrix: NDArray[np.float64], layout: Layout, slot_count: int) -> Diagonals:
    """Return the diagonals that multiply a vector of this layout by `matrix` (size, columns).

    The output slots are cut into blocks of w, the next power of two from the number of columns. Block t sums w rows,
    from row t*w on; folding the blocks gives the product. This takes w diagonals in place of one for each row (the
    hybrid method: Juvekar, Vaikuntanathan, Chandrakasan, USENIX Security 2018, section 5.2).
    """
    rows, columns = matrix.shape
    block = power_of_two_from(columns)
    period = layout.period
    blocks = power_of_two_from(-(-period // block))
    if layout.reach >= columns + period - 1:
        return _repeated(matrix, layout, slot_count, block, blocks)
    # Only the first slots are known: row j stands in slot j alone, up to w - 1 slots from where it is needed.
    blocks = power_of_two_from(-(-rows // block))
    values = np.zeros((2 * block, slot_count))
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    slot = row // block * block + column
    values[row - slot + block, slot] = matrix
    return Diagonals(-block, values, block, blocks.bit_length() - 1, Layout(columns, block, columns))


def _repeated(
    matrix: NDArray[np.float64], layout: Layout, slot_count: int, block: int, blocks: int
) -> Diagonals:
    rows, columns = matrix.shape
    period = layout.period
    count = min(period, block)
    cyclic = layout.is_cyclic(slot_count)  # the period is then a power of two, and everything repeats
    width = max(period, block)
    if cyclic:
        slots = np.arange(width)
        output = Layout(columns, block, slot_count)
    elif blocks == 1:
        reach = layout.reach - period + 1
        slots = np.arange(reach)
        output = Layout(columns, block, reach)
    else:
        slots = np.arange(blocks * block)
        output = Layout(columns, block, columns)
    column = slots % block
    turn = slots // block % blocks
    values = np.zeros((count, width if cyclic else slot_count))
    for d in range(count):
        # Each row is taken once: from a window of one period that begins at the output's own column.
        source = (slots + d) % period
        used = (column < columns) & (turn * block + d < period) & (source < rows)
        values[d, slots[used]] = matrix[source[used], column[used]]
    return Diagonals(0, values, block, blocks.bit_length() - 1, output)
