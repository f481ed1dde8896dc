"""Row packing for dense layers: each replica of the input computes different rows of the result.

An input of period p repeats slot_count / p times, but the diagonals of a map to a result of the same period multiply
the same numbers in every replica. Row packing gives each replica rows of its own: row t has its slot at
q(t) = (t div w) p + t mod w, and its products with all p slots of the input lie in the p / w slots q(t) + w a, where
folds by w, 2w, ..., p/2 add them up. So w diagonals and log2(p/w) folds replace p diagonals (w >= rows * p /
slot_count). These are the row-wise products of Halevi and Shoup ("Algorithms in HElib", Crypto 2014, section 4.3),
with as many rows per ciphertext as there is room for.

Afterwards the slots between the rows are not zero. Each holds a mixture: the sum of the last products of one row and
the first products of the next. The rows themselves stay right, since maps that read the result have zeros at those
slots, and products multiply slot by slot. But a polynomial would leave its range there, and a client must not see
mixtures. So row packing is for groups of values that no polynomial reads and that are not the output, and it is refused
if the mixtures, measured on calibration samples, are too large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.packing.placements import Indices, Placement, RowPacking, power_of_two
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorProgram

Array = NDArray[np.float64]

STRIDES = 4
"""Number of strides w that are tried, each twice the one before. A larger w takes more diagonals, and its folds add up
half as many slots; more strides make the search slower."""
LARGEST_MIXTURE = 256.0
"""Largest absolute value of a mixture, relative to the largest value of a row. A row-packed value is at level 1 or
more, where the modulus leaves 2^(scale_bits + 4) above a row's values: even the square of such a mixture is far below
that. Raised, more layers are row-packed, and mixtures come nearer to the modulus."""


def row_packed_candidates(size: int, source: Placement, slot_count: int) -> list[Placement]:
    """Return placements of a vector of `size` elements by row packing; none unless `source` repeats in the slots."""
    period = source.period
    if source.positions.shape[0] > 1 or source.parts > 1 or 2 * period > slot_count:
        return []
    least = power_of_two(-(-size * period // slot_count))
    row = np.arange(size, dtype=np.int64)
    placements = []
    for w in (least << k for k in range(STRIDES)):
        # With all rows in one replica, folding without row packing costs the same and leaves no mixtures.
        if 2 * w > period or w >= power_of_two(size):
            break
        positions = row // w * period + row % w
        result_period = power_of_two(-(-size // w)) * period
        label = f"row packing of {period} by {w}"
        placements.append(
            Placement(positions[None, :], result_period, label, row_packing=RowPacking(w, period))
        )
    return placements


def row_packing_between(source: Placement, result: Placement) -> RowPacking | None:
    """Return the row packing by which a map from `source` to `result` is folded; None if `source` does not suit it."""
    packing = result.row_packing
    unskewed = source.positions.shape[0] == 1 and source.parts == 1
    return packing if packing is not None and unskewed and source.period == packing.input_period else None


def row_packable_groups(program: TensorProgram, group: Sequence[int]) -> set[int]:
    """Return the groups (hetorch.ir.value_groups) whose unused slots may hold mixtures.

    These are all groups but the input's, the output's and those with polynomials.
    """
    kept_clean = {group[0], group[program.output]}
    kept_clean |= {group[i + 1] for i, op in enumerate(program.operations) if isinstance(op, Chebyshev)}
    return set(group) - kept_clean


def slots_of_products(positions: Indices, places: Indices, packing: RowPacking) -> tuple[Indices, Indices]:
    """Return the diagonal (0 <= k < stride) and the slot of each product.

    `positions`: the slot of each product's input element. `places`: the slot of its row.
    """
    distance = (positions - places) & (packing.input_period - 1)
    k = distance & (packing.stride - 1)
    return k, places + distance - k


def trace_mixtures(
    program: TensorProgram, placements: Sequence[Placement], samples: Sequence[Array]
) -> dict[int, Array]:
    """Compute, for each row-packed value, the contents of all slots of one period: rows and mixtures.

    Args:
        program: the network, without activations.
        placements: one per value.
        samples: one array (samples, size) per value: its elements on calibration samples.

    Returns:
        An array (samples, period) by value.
    """
    traced: dict[int, Array] = {}
    for value in range(1, program.value_count):
        if placements[value].row_packing is None:
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
                raise AssertionError("values that polynomials read are not row-packed")
    return traced


def _affine_slots(op: Affine, source: Placement, result: Placement, inputs: Array, outputs: Array) -> Array:
    """Compute the slots of the result of `op`, (samples, period), from its inputs and outputs on the samples."""
    slots = np.zeros((len(outputs), result.period))
    packing = row_packing_between(source, result)
    places = result.positions[0]
    if packing is None:
        slots[:, places] = outputs
        return slots
    rows = np.repeat(np.arange(op.matrix.shape[0]), np.diff(op.matrix.indptr))
    columns = op.matrix.indices
    _, at = slots_of_products(source.positions[0].take(columns), places.take(rows), packing)
    for sample, x in enumerate(inputs):
        slots[sample] = np.bincount(at, weights=op.matrix.data * x.take(columns), minlength=result.period)
    step = packing.stride
    while step < packing.input_period:
        slots += np.roll(slots, -step, axis=1)
        step *= 2
    slots[:, places] += op.bias
    return slots


def largest_mixture(traced: Mapping[int, Array], samples: Sequence[Array]) -> float:
    """Return the largest ratio, over the traced values, of a slot to the largest element of the value; 1 if none.

    `traced` is the result of trace_mixtures for the same `samples`.
    """
    ratios = [
        float(np.max(np.abs(slots))) / max(float(np.max(np.abs(samples[value]))), 1e-300)
        for value, slots in traced.items()
    ]
    return max(ratios, default=1.0)
