"""Pass: lower an affine map between two placements to diagonals, baby steps and giant steps, and folds.

*Assumes* placements between which find_diagonals finds diagonals, such as those that choose_layouts returns.
*Ensures* that the spreads, the transform and the folds have (matrix @ x) at the slots of the result and, unless the
result is row-packed or mixed, zero in all others, whatever the unused slots of the input hold. Only spreads take these
into the result: they must be zero for a map that has spreads.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy import sparse

from hetorch.compiler.packing.baby_giant import StepCosts, split
from hetorch.compiler.packing.diagonals import (
    DiagonalSet,
    blocks,
    coordinates,
    find_diagonals,
    find_indices,
)
from hetorch.compiler.packing.pairing import canonical_babies, in_window, paired
from hetorch.compiler.packing.placements import Indices, Placement
from hetorch.compiler.packing.row_packing import row_packing_between, slots_of_products
from hetorch.compiler.packing.runs import (
    fold_starts,
    gathered_slots,
    gathering,
    spread_slots,
    spread_steps,
    spreading,
)
from hetorch.engine.transform import DiagonalSteps, DiagonalTransform
from hetorch.errors import InfeasibleError
from hetorch.quantities import count_text


@dataclass(frozen=True, slots=True, eq=False)
class MapOutline:
    """An affine map without its weights: the steps of the transform and of the folds after it, and counts.

    `period`: the number of positions after which every diagonal repeats. `spreads`: the steps of the sums before the
    transform (hetorch.compiler.packing.runs). `diagonals`: the number of all diagonals.
    `products`: the number of products with them, fewer if the transform has a pair step.
    `babies` and `giants`: the numbers of (input, baby step) and (result, giant step) pairs that need a rotation.
    `max_diagonals_per_output` and `max_giants_per_output`: the largest numbers of diagonals and of giant steps of one
    result ciphertext. Costs, keys, noise and memory follow from an outline, so the search makes no weights.
    """

    transform: DiagonalSteps
    period: int
    folds: tuple[int, ...]
    diagonals: int
    products: int
    babies: int
    giants: int
    max_diagonals_per_output: int
    max_giants_per_output: int
    spreads: tuple[int, ...] = ()

    @property
    def summed_slots(self) -> int:
        """The number of slots that the folds add up into one."""
        return 1 << len(self.folds)


@dataclass(frozen=True, slots=True, eq=False)
class LoweredMap(MapOutline):
    """An affine map ready to run: an outline whose transform has the values of the diagonals."""

    transform: DiagonalTransform


LIGHTEST = MapOutline(
    transform=DiagonalSteps(
        slot_count=1,
        input_count=1,
        output_count=1,
        outputs=np.zeros(1, dtype=np.int32),
        inputs=np.zeros(1, dtype=np.int32),
        giants=np.zeros(1, dtype=np.int32),
        babies=np.zeros(1, dtype=np.int32),
    ),
    period=1,
    folds=(),
    diagonals=1,
    products=1,
    babies=0,
    giants=0,
    max_diagonals_per_output=1,
    max_giants_per_output=0,
)
"""A map with less noise than any other: one diagonal, no rotation, no fold."""


def fold_steps(source: Placement, result: Placement) -> tuple[int, ...]:
    """Return the rotation steps of the folds: m, 2m, ..., period in / 2.

    m is the period of the result or, with row packing, its stride.
    """
    packing = row_packing_between(source, result)
    if gathering(source, result) is not None:
        return fold_starts(source, result)
    steps = []
    step = result.period if packing is None else packing.stride
    while step < source.period:
        steps.append(step)
        step *= 2
    return tuple(steps)


def checked_diagonals(
    found: tuple[Indices, int] | None, matrix: sparse.csr_array, source: Placement
) -> tuple[Indices, int]:
    """Return the diagonals that find_indices found for `matrix` on an input placed at `source`.

    Raises:
        InfeasibleError: the input is skewed and no cover of its diagonals was found.
    """
    if found is None:
        raise _no_diagonals(matrix.nnz, source)
    return found


def lower(
    matrix: sparse.csr_array,
    source: Placement,
    result: Placement,
    slot_count: int,
    costs: StepCosts | None = None,
    pair: int = 0,
) -> LoweredMap:
    """Lower `matrix` from the placement of its input to that of its result.

    Args:
        matrix: the map.
        source: the placement of the input.
        result: the placement of the result.
        slot_count: the number of positions of a ciphertext; both periods divide it.
        costs: those of steps and keys, an argument of baby_giant.split.
        pair: the pair step, an argument of outlined.

    Raises:
        InfeasibleError: the input is skewed and no cover of its diagonals was found.
    """
    found = find_indices(*coordinates(matrix), source, result)
    bare = outlined(*checked_diagonals(found, matrix, source), source, result, slot_count, costs, pair)
    return with_values(bare, matrix, source, result)


def with_values(
    bare: MapOutline, matrix: sparse.csr_array, source: Placement, result: Placement
) -> LoweredMap:
    """Return the map that `bare` outlines, with the values of its diagonals.

    Args:
        bare: the outline of `matrix` between the two placements, whatever its baby and giant steps are.
        matrix: the map.
        source: the placement of the input.
        result: the placement of the result.

    Raises:
        InfeasibleError: the input is skewed and no cover of its diagonals was found.
    """
    rows, columns = coordinates(matrix)
    each = find_diagonals(rows, columns, source, result)
    if each is None:
        raise _no_diagonals(len(rows), source)
    values = np.zeros((bare.diagonals, bare.period))
    slots = _slots(rows, columns, source, result, each, bare.transform)
    values[each.chosen, slots % bare.period] = matrix.data
    steps = {field.name: getattr(bare.transform, field.name) for field in fields(DiagonalSteps)}
    counts = {
        field.name: getattr(bare, field.name) for field in fields(MapOutline) if field.name != "transform"
    }
    return LoweredMap(transform=DiagonalTransform(**steps, values=values), **counts)


def _no_diagonals(weights: int, source: Placement) -> InfeasibleError:
    return InfeasibleError(
        f"no diagonals were found for a map of {count_text(weights, 'weight')} from {source.label}"
    )


def outlined(
    indices: Indices,
    modulus: int,
    source: Placement,
    result: Placement,
    slot_count: int,
    costs: StepCosts | None = None,
    pair: int = 0,
) -> MapOutline:
    """Split the diagonals of find_indices into steps of the least `costs` (baby_giant.split), and count them.

    `pair`: the pair step if diagonals that far apart are multiplied at once (hetorch.compiler.packing.pairing), else 0.
    """
    outputs, inputs, k = blocks(indices, modulus, source)
    if 2 * pair == modulus:
        parts = split(k % pair, pair, outputs, inputs, costs)
        # Both steps add up to the diagonal or to its partner, which is a pair step away.
        babies = canonical_babies(parts.babies + (k - parts.representatives) // pair % 2 * pair, pair)
    elif pair:
        real, imaginary = in_window(k, modulus, pair)
        parts = split(real, modulus, outputs, inputs, costs, paired(indices, modulus, pair).babies)
        babies = parts.babies + pair * imaginary
    else:
        parts = split(k, modulus, outputs, inputs, costs)
        babies = parts.babies
    # Half a turn to the left and half a turn to the right are one step.
    turned = np.stack([outputs, parts.giants % slot_count])
    pairs = np.unique(turned[:, turned[1] != 0], axis=1)
    return MapOutline(
        transform=DiagonalSteps(
            slot_count=slot_count,
            input_count=source.parts,
            output_count=result.parts,
            outputs=outputs.astype(np.int32),
            inputs=inputs.astype(np.int32),
            giants=(parts.giants % slot_count).astype(np.int32),
            babies=(babies % slot_count).astype(np.int32),
            pair=pair,
        ),
        period=max(source.period, result.period),
        folds=fold_steps(source, result),
        diagonals=len(k),
        products=len(paired(indices, modulus, pair).indices) if pair else len(k),
        babies=parts.baby_count,
        giants=pairs.shape[1],
        max_diagonals_per_output=int(np.bincount(outputs).max()),
        max_giants_per_output=int(np.bincount(pairs[0], minlength=1).max()),
        spreads=spread_steps(source, result, slot_count),
    )


def _slots(
    rows: Indices,
    columns: Indices,
    source: Placement,
    result: Placement,
    each: DiagonalSet,
    steps: DiagonalSteps,
) -> Indices:
    """Return the slot in which the product of each non-zero is formed, modulo the period of the map."""
    packing = row_packing_between(source, result)
    if packing is not None:
        places = result.positions[0].take(rows)
        return slots_of_products(source.positions[0].take(columns), places, packing)[1]
    # The sum of both steps is congruent to the diagonal modulo the number of positions, which the periods divide.
    chosen = (steps.giants.astype(np.int64) + steps.babies)[each.chosen]
    runs = gathering(source, result)
    if runs is not None:
        return gathered_slots(source.positions[0].take(columns), result.positions[0].take(rows), chosen, runs)
    if spreading(source, result) is not None:
        positions, places = source.positions[0].take(columns), result.positions[0].take(rows)
        return spread_slots(positions, places, chosen, source, result.period)
    if result.period >= source.period:
        return np.asarray(result.positions[0][rows])
    return np.asarray(source.positions[each.replica, columns] - chosen)
