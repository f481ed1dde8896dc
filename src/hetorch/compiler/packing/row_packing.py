"""Results of dense maps that lie scattered: few diagonals where the input repeats in the slots many times.

An input of period p repeats slot_count / p times, but the diagonals of a map to a result of the same period multiply
the same numbers in every repetition. A window gives each repetition rows of its own: row t has its slot at
q(t) = (t div w) p + t mod w, and its products with all p slots of the input lie in the p / w slots q(t) + w a, where
folds by w, 2w, ..., p/2 add them up. That takes w diagonals in place of p (w >= rows * p / slot_count), and log2(p/w)
folds. (The row-wise products of Halevi and Shoup, "Algorithms in HElib", Crypto 2014, section 4.3, with as many rows a
ciphertext as it has room for.)

What it costs: the slots between the rows end up with mixtures, the tail of one row's products and the head of the next
one's. Maps that read the result have zeros there and products multiply mixtures by mixtures, so the rows are right; but
a polynomial would leave its range on them, and a client must not see them. So windows are for groups of values without
polynomials that are not the output; and how large the mixtures are is found on some
calibration samples, the largest among them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.packing.placements import Indices, Placement, Window, power_of_two
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorProgram

Array = NDArray[np.float64]

STRIDES = 4
"""Strides that are tried, each twice the one before: more diagonals, and half as many slots that a fold adds up."""
LARGEST_MIXTURE = 256.0
"""Largest mixture beside the largest value of a row. What has a window is at level 1 or more, where the modulus leaves
2^(scale_bits + 4) above a row's values: even the square of such a mixture is far below it."""


def windowed_candidates(size: int, source: Placement, slot_count: int) -> list[Placement]:
    """Placements of a vector of `size` elements made from `source`; none unless that repeats in the slots."""
    length = source.period
    if source.positions.shape[0] > 1 or source.parts > 1 or 2 * length > slot_count:
        return []
    stride = power_of_two(-(-size * length // slot_count))
    row = np.arange(size, dtype=np.int64)
    found = []
    for w in (stride << k for k in range(STRIDES)):
        # With all rows in one repetition, folding the plain way costs the same and leaves no mixtures.
        if 2 * w > length or w >= power_of_two(size):
            break
        positions = row // w * length + row % w
        period = power_of_two(-(-size // w)) * length
        label = f"windows of {length} by {w}"
        found.append(Placement(positions[None, :], period, label, window=Window(w, length)))
    return found


def window_between(source: Placement, result: Placement) -> Window | None:
    """The window by which a map from `source` to `result` is folded, or None for the plain way."""
    window = result.window
    plain = source.positions.shape[0] == 1 and source.parts == 1
    return window if window is not None and plain and source.period == window.length else None


def may_have_windows(program: TensorProgram, group: Sequence[int]) -> set[int]:
    """The groups of values (choose_layouts.groups_of) whose unused slots may hold anything."""
    kept = {group[0], group[program.output]}
    kept |= {group[i + 1] for i, op in enumerate(program.operations) if isinstance(op, Chebyshev)}
    return set(group) - kept


def slots_of_products(positions: Indices, places: Indices, window: Window) -> tuple[Indices, Indices]:
    """For input slots and the slots of rows: the diagonal, 0 <= k < stride, and the slot of the product."""
    distance = (positions - places) & (window.length - 1)
    k = distance & (window.stride - 1)
    return k, places + distance - k


def trace_mixtures(
    program: TensorProgram, placements: Sequence[Placement], samples: Sequence[Array]
) -> dict[int, Array]:
    """What all slots of one period hold, (samples, period), of each value that is placed with a window, on `samples`
    (one array (samples, size) a value)."""
    traced: dict[int, Array] = {}
    for value in range(1, program.value_count):
        if placements[value].window is None:
            continue
        op = program.operations[value - 1]
        match op:
            case Affine():
                source = placements[op.input]
                traced[value] = _affine_slots(
                    op, source, placements[value], samples[op.input], samples[value]
                )
            case Add(a=a, b=b):
                traced[value] = traced[a] + traced[b]
            case Multiply(a=a, b=b):
                traced[value] = traced[a] * traced[b]
            case _:
                raise AssertionError("no window where a polynomial reads")
    return traced


def _affine_slots(op: Affine, source: Placement, result: Placement, given: Array, made: Array) -> Array:
    slots = np.zeros((len(made), result.period))
    window = window_between(source, result)
    places = result.positions[0]
    if window is None:
        slots[:, places] = made
        return slots
    rows = np.repeat(np.arange(op.matrix.shape[0]), np.diff(op.matrix.indptr))
    columns = op.matrix.indices
    _, at = slots_of_products(source.positions[0].take(columns), places.take(rows), window)
    for sample, x in enumerate(given):
        slots[sample] = np.bincount(at, weights=op.matrix.data * x.take(columns), minlength=result.period)
    step = window.stride
    while step < window.length:
        slots += np.roll(slots, -step, axis=1)
        step *= 2
    slots[:, places] += op.bias
    return slots


def largest_mixture(traced: Sequence[Array], rows: Sequence[Array]) -> float:
    """The largest ratio of what a slot holds to the largest value of the rows, over the values of both lists."""
    ratios = [
        float(np.max(np.abs(slots))) / max(float(np.max(np.abs(values))), 1e-300)
        for slots, values in zip(traced, rows, strict=True)
    ]
    return max(ratios, default=1.0)
