"""Products that move values between slots: vector times matrix, convolution of windows, packing, sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.tenseal.element import Arithmetic, Element, Reals
from hetorch.tenseal.layout import Chunk, Layout


def power_of_two_from(value: int) -> int:
    """The least power of two that is not below `value` >= 1."""
    return 1 << (value - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Diagonals:
    """A matrix as generalised diagonals: output slot i = sum_d values[d][i] * input slot i + first + d, then `folds`
    sums of slots `block` * 2^k apart. `values` has one row for each d, a period of the slots long."""

    first: int
    values: Reals
    block: int
    folds: int
    output: Layout


def diagonals_of(matrix: NDArray[np.float64], layout: Layout, slot_count: int) -> Diagonals:
    """How to multiply a vector laid out like this by `matrix` (size, columns).

    Output slots are cut into blocks of w = the next power of two from the number of columns, and block t sums the rows
    from t*w on, w of them; folding the blocks gives the product. So there are w diagonals and not one for each row (the
    hybrid method: Juvekar, Vaikuntanathan, Chandrakasan, USENIX Security 2018, section 5.2).
    """
    rows, columns = matrix.shape
    block = power_of_two_from(columns)
    period = layout.period
    blocks = power_of_two_from(-(-period // block))
    if layout.reach >= columns + period - 1:
        return _repeated(matrix, layout, slot_count, block, blocks)
    # Only the first slots are known: row j stands in slot j alone, up to w - 1 slots to either side.
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
    cyclic = layout.is_cyclic(slot_count)  # then the period is a power of two, and everything repeats
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
        # Each row once: a window of one period from the output's own column.
        source = (slots + d) % period
        used = (column < columns) & (turn * block + d < period) & (source < rows)
        values[d, slots[used]] = matrix[source[used], column[used]]
    return Diagonals(0, values, block, blocks.bit_length() - 1, output)


def multiply_matrix(arithmetic: Arithmetic, chunk: Chunk, matrix: NDArray[np.float64]) -> Chunk:
    """The vector times `matrix` (size, columns); one level.

    Baby steps are rotations by sums of powers of two, each from one with a power less; giant steps all have the same
    width and go by Horner's rule: so SEAL's default Galois keys, the powers of two, are enough. With a special prime
    far below the others every rotation comes after its product and before the rescale, which divides its noise too.
    """
    slot_count = arithmetic.context.parameters.slot_count
    plan = diagonals_of(matrix, chunk.layout, slot_count)
    (term,), label, encoded = arithmetic.plain_factors([chunk.element], any_level=True)
    used = np.any(plan.values, axis=1)
    if not np.any(np.abs(plan.values) * encoded >= 0.5):
        zero = arithmetic.encrypt_constant(0.0)
        return Chunk(zero, Layout(matrix.shape[1], 1, slot_count))
    count = len(plan.values)
    noisy = arithmetic.context.noisy_switches
    babies = 1 if noisy else _baby_count(count)
    needed = {int(d) % babies for d in np.flatnonzero(used)}
    rotated = _baby_steps(arithmetic, term, needed)
    total: Element | None = None
    for giant in range((count - 1) // babies * babies, -1, -babies):
        if total is not None:
            total = arithmetic.rotate(total, babies)
        steps = [d for d in range(giant, min(count, giant + babies)) if used[d]]
        if not steps:
            continue
        # The giant steps still to come move this sum to the left: its diagonals stand as far to the right.
        values = np.roll(plan.values[steps], giant + plan.first, axis=1)
        inner = arithmetic.unscaled_sum_of_values([rotated[d - giant] for d in steps], values, encoded)
        total = inner if total is None else arithmetic.add(total, inner)
    assert total is not None
    if plan.first:
        total = arithmetic.rotate(total, plan.first)
    if noisy:
        return Chunk(arithmetic.rescaled(_folded(arithmetic, total, plan).core, label), plan.output)
    return Chunk(_folded(arithmetic, arithmetic.rescaled(total.core, label), plan), plan.output)


def _folded(arithmetic: Arithmetic, total: Element, plan: Diagonals) -> Element:
    for k in reversed(range(plan.folds)):
        total = arithmetic.add(total, arithmetic.rotate(total, plan.block << k))
    return total


def _baby_count(count: int) -> int:
    """The power of two nearest to the square root, in ratio: babies - 1 + count / babies - 1 rotations."""
    babies = 1
    while babies * babies * 2 < count:
        babies *= 2
    return babies


def _baby_steps(arithmetic: Arithmetic, term: Element, needed: set[int]) -> dict[int, Element]:
    """`term` rotated by each of `needed`: every one from the one without its highest power of two."""
    rotated = {0: term}

    def make(steps: int) -> Element:
        if steps not in rotated:
            highest = 1 << (steps.bit_length() - 1)
            rotated[steps] = arithmetic.rotate(make(steps - highest), highest)
        return rotated[steps]

    for steps in sorted(needed):
        make(steps)
    return rotated


def multiply_windows(arithmetic: Arithmetic, chunk: Chunk, vector: NDArray[np.float64], rows: int) -> Chunk:
    """A matrix in column order (`rows` values a column, a power of two of columns) times a plain vector; one level."""
    columns = power_of_two_from(len(vector))
    layout = chunk.layout
    if layout.size // rows != columns:
        raise InputError(
            f"Matrix shape doesn't match with vector size: {layout.size} values in columns of {rows}, a vector of "
            f"{len(vector)} which stands for {columns} columns"
        )
    slot_count = arithmetic.context.parameters.slot_count
    weights = np.zeros(layout.size)
    weights[: len(vector) * rows] = np.repeat(vector, rows)
    product = arithmetic.multiply_values(chunk.element, layout.spread(weights, slot_count))
    step = columns * rows // 2
    while step >= rows:
        product = arithmetic.add(product, arithmetic.rotate(product, step))
        step //= 2
    size = rows * columns
    if layout.period == size and layout.is_cyclic(slot_count):
        output = Layout(rows, rows, slot_count)
    elif layout.period == size:
        output = Layout(rows, rows, max(rows, layout.reach - size + rows))
    else:
        output = Layout.first_slots(rows)
    return Chunk(product, output)


def pack(arithmetic: Arithmetic, chunks: Sequence[Chunk]) -> Chunk:
    """Vectors of one size one after the other; one level."""
    size = chunks[0].layout.size
    total = size * len(chunks)
    slot_count = arithmetic.context.parameters.slot_count
    if total > slot_count:
        raise InputError(f"output size is bigger than slot count: {total} values, {slot_count} slots")
    if any(chunk.layout.size != size for chunk in chunks):
        raise InputError(f"vectors sizes are different: {[chunk.layout.size for chunk in chunks]}")
    repeated = all(c.layout.period == size and c.layout.reach >= total for c in chunks)
    reach = min(c.layout.reach for c in chunks) if repeated else total
    layout = Layout(total, total, reach)
    elements = []
    for index, chunk in enumerate(chunks):
        at_home = index == 0 or (chunk.layout.period == size and chunk.layout.reach >= (index + 1) * size)
        elements.append(chunk.element if at_home else arithmetic.rotate(chunk.element, -index * size))
    masks = [
        layout.spread(np.repeat(np.eye(len(chunks))[index], size), slot_count) for index in range(len(chunks))
    ]
    if not repeated:
        # Beyond the last vector nothing is known: it must not come back through a rotation.
        masks = [np.concatenate([mask[:total], np.zeros(slot_count - total)]) for mask in masks]
    return Chunk(arithmetic.sum_of_values(elements, np.array(masks)), layout)


def sum_chunk(arithmetic: Arithmetic, chunk: Chunk) -> Chunk:
    """The sum of all values, in slot 0 and wherever the vector's repetition allows; no level."""
    layout = chunk.layout
    if layout.size == 1:
        return chunk
    total = arithmetic.window_sum(chunk.element, layout.size)
    slot_count = arithmetic.context.parameters.slot_count
    if layout.period != layout.size:
        reach = 1
    elif layout.is_cyclic(slot_count):
        reach = slot_count
    else:
        reach = layout.reach - layout.size + 1
    return Chunk(total, Layout(1, 1, reach))


def replicate(arithmetic: Arithmetic, chunk: Chunk, count: int) -> Chunk:
    """The first value in the first `count` slots: nothing to do where it stands there already, else one level."""
    if chunk.layout.period == 1 and chunk.layout.reach >= count:
        # All slots within reach hold the one value, so it has any period.
        return Chunk(chunk.element, Layout(count, count, chunk.layout.reach))
    slot_count = arithmetic.context.parameters.slot_count
    mask = np.zeros(slot_count)
    mask[0] = 1
    element = arithmetic.multiply_values(chunk.element, mask)
    reach = 1
    while reach < count:
        element = arithmetic.add(element, arithmetic.rotate(element, -reach))
        reach *= 2
    return Chunk(element, Layout(count, count, min(reach, slot_count)))
