"""Products that move values between slots: vector times matrix, convolution of windows, packing, sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hetorch.params.checks import MAX_RING_DEGREE
from hetorch.tenseal.ckks.arithmetic import Arithmetic
from hetorch.tenseal.ckks.diagonals import Diagonals, diagonals_of, power_of_two_from
from hetorch.tenseal.ckks.element import Element
from hetorch.tenseal.ckks.layout import Chunk, Layout
from hetorch.tenseal.scheme.errors import refusal


def multiply_matrix(arithmetic: Arithmetic, chunk: Chunk, matrix: NDArray[np.float64]) -> Chunk:
    """Multiply the vector by `matrix` (size, columns); one level.

    Baby steps are rotations by sums of powers of two, each made from one with a power less. Giant steps all have the
    same width and follow Horner's rule. SEAL's default Galois keys, the powers of two, are therefore enough. With a
    special prime far below the others every rotation comes after its product and before the rescale, which divides the
    rotation's noise too.
    """
    slot_count = arithmetic.context.parameters.slot_count
    diagonals = diagonals_of(matrix, chunk.layout, slot_count)
    (term,), label, encoded = arithmetic.plain_factors([chunk.element], any_level=True)
    used = np.any(diagonals.values, axis=1)
    if np.all(np.abs(diagonals.values) * encoded < 0.5):
        zero = arithmetic.encrypt_constant(0.0)
        return Chunk(zero, Layout(matrix.shape[1], 1, slot_count))
    count = len(diagonals.values)
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
        # The giant steps still to come move this sum to the left, so its diagonals are moved to the right by as much.
        values = np.roll(diagonals.values[steps], giant + diagonals.first, axis=1)
        inner = arithmetic.unscaled_sum_of_values([rotated[d - giant] for d in steps], values, encoded)
        total = inner if total is None else arithmetic.add(total, inner)
    assert total is not None
    if diagonals.first:
        total = arithmetic.rotate(total, diagonals.first)
    if noisy:
        return Chunk(arithmetic.rescaled(_folded(arithmetic, total, diagonals).core, label), diagonals.output)
    return Chunk(_folded(arithmetic, arithmetic.rescaled(total.core, label), diagonals), diagonals.output)


def _folded(arithmetic: Arithmetic, total: Element, diagonals: Diagonals) -> Element:
    for k in reversed(range(diagonals.folds)):
        total = arithmetic.add(total, arithmetic.rotate(total, diagonals.block << k))
    return total


def _baby_count(count: int) -> int:
    """Return the power of two nearest to the square root of `count`, in ratio.

    The rotations number babies - 1 for the baby steps and count / babies - 1 for the giant steps.
    """
    babies = 1
    while babies * babies * 2 < count:
        babies *= 2
    return babies


def _baby_steps(arithmetic: Arithmetic, term: Element, needed: set[int]) -> dict[int, Element]:
    """Return `term` rotated by each of `needed`, each made from the rotation without its highest power of two."""
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
    """Multiply a matrix in column order by a plain vector; one level.

    The chunk holds a power of two of columns of `rows` values each; ValueError unless it is the one that `vector`
    stands for.
    """
    columns = power_of_two_from(len(vector))
    layout = chunk.layout
    if layout.size // rows != columns:
        raise refusal(
            ValueError,
            "Matrix shape doesn't match with vector size",
            f"{layout.size} values in columns of {rows}, a vector of {len(vector)} for {columns} columns",
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


def check_sizes(sizes: Sequence[int], slot_count: int) -> None:
    """Raise ValueError unless vectors of these sizes can be packed: of one size, and within the slots in all."""
    total = sizes[0] * len(sizes)
    if total > slot_count:
        raise refusal(
            ValueError, "output size is bigger than slot count", f"{total} values, {slot_count} slots"
        )
    if any(size != sizes[0] for size in sizes):
        raise refusal(ValueError, "vectors sizes are different", f"{list(sizes)}")


def room_for(size: int, slot_count: int, cut: str) -> str:
    """Return the advice for `size` values that do not fit: the ring that has room for them, if any, and `cut`."""
    ring_degree = 2 * power_of_two_from(size)
    if ring_degree > MAX_RING_DEGREE:
        return f"there are {slot_count} slots, and no ring has room for {size} values: {cut}"
    return f"there are {slot_count} slots: use poly_modulus_degree={ring_degree} or above, or {cut}"


def pack(arithmetic: Arithmetic, chunks: Sequence[Chunk]) -> Chunk:
    """Lay vectors of one size, which fit the slots, one after the other in one ciphertext; one level."""
    size = chunks[0].layout.size
    total = size * len(chunks)
    slot_count = arithmetic.context.parameters.slot_count
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
        # The slots beyond the last vector are unknown: a rotation must not bring their values back.
        masks = [np.concatenate([mask[:total], np.zeros(slot_count - total)]) for mask in masks]
    return Chunk(arithmetic.sum_of_values(elements, np.array(masks)), layout)


def sum_chunk(arithmetic: Arithmetic, chunk: Chunk) -> Chunk:
    """Sum all values, into slot 0 and wherever the vector's repetition allows; no level."""
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
    """Spread the first value over the first `count` slots: no level if it stands there already, else one."""
    if chunk.layout.period == 1 and chunk.layout.reach >= count:
        # All slots within reach hold the same value, so they have any period.
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
