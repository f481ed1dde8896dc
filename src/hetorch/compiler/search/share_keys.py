"""The baby and giant steps of all maps of a program, chosen together: a key that one map uses is free for the others.

Each map is split again and again, at the prices that the keys of the others leave: a key that another map uses at the
same or a higher level costs nothing, and one that is used at a lower level the difference. Every split lowers the sum
of all rotations and keys, or leaves it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hetorch.compiler.costs.model import GIANT, CostModel
from hetorch.compiler.packing.baby_giant import Costs, StepCosts
from hetorch.compiler.packing.lower import MapOutline, outlined
from hetorch.compiler.packing.pairing import pair_step
from hetorch.compiler.packing.placements import Indices, Placement
from hetorch.compiler.search.keys_of_maps import transform_steps
from hetorch.params import KeyFamily

Turns = tuple[Collection[int], Collection[int]]
"""The steps of a map's rotations: before its result is rescaled, and those of the folds after it."""

ROUNDS = 3
"""Largest number of times that each map is split at the prices of the others. Raised, plans may have fewer keys, and
the search takes longer."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedMap:
    """The diagonals of a map, as find_indices gives them, between two placements; its result is at `level`, and its
    diagonals may be multiplied in pairs if `paired`."""

    indices: Indices
    modulus: int
    source: Placement
    result: Placement
    level: int
    paired: bool = False


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A rotation key that a program has anyway: its step in positions, its family, and its highest level."""

    step: int
    family: KeyFamily
    level: int


def share_keys(
    maps: Sequence[PlacedMap], slot_count: int, model: CostModel, held_keys: Sequence[HeldKey] = ()
) -> list[MapOutline]:
    """Return the outline of each map, in their order.

    Args:
        maps: the affine maps of a program.
        slot_count: the number of positions of a ciphertext.
        model: predicts the time of steps. Its key weight is the cost of a key, where a giant step at its level costs
            GIANT.
        held_keys: those of other operations.
    """
    outlines = [_split(one, _held_before(held_keys, one.level, slot_count, model), model) for one in maps]
    # Every map asks for the steps of every other one.
    turns = [_turns(bare, model) for bare in outlines]
    for _ in range(ROUNDS if len(maps) > 1 else 0):
        before = [_steps(bare) for bare in outlines]
        for number, one in enumerate(maps):
            held = _held_before(held_keys, one.level, slot_count, model)
            for other, steps in zip(maps, turns, strict=True):
                if other is not one:
                    for step, size in _held(steps, other.level, one.level, model):
                        held[step] = max(held[step], size)
            outlines[number] = _split(one, held, model)
            turns[number] = _turns(outlines[number], model)
        if [_steps(bare) for bare in outlines] == before:
            break
    return outlines


def _split(one: PlacedMap, held: Costs, model: CostModel) -> MapOutline:
    """Split a map; `held`: the sizes of the keys that the other maps have, by step, 0 for none."""
    level = one.level + 1
    size, unit = _map_key_size(model, level), model.giant(level) / GIANT
    keys = model.key_weight * unit * np.maximum(1.0 - held / size, 0.0)
    costs = StepCosts(model.baby(level), model.giant(level), keys)
    places = (one.indices, one.modulus, one.source, one.result)
    pair = pair_step(*places, level, model) if one.paired else 0
    return outlined(*places, len(held), costs, pair)


def _steps(bare: MapOutline) -> tuple[bytes, bytes]:
    return bare.transform.giants.tobytes(), bare.transform.babies.tobytes()


def _held_before(keys: Sequence[HeldKey], reader: int, slot_count: int, model: CostModel) -> Costs:
    """Return the sizes of the `keys` that suit a map with its result at level `reader`, by step."""
    sizes = np.zeros(slot_count)
    for key in keys:
        if model.map_families and model.map_families[reader + 1] == key.family:
            rows = key.family.digit_count(key.level) * (key.level + 1 + key.family.special_count)
            sizes[key.step] = max(sizes[key.step], rows)
    return sizes


def _turns(bare: MapOutline, model: CostModel) -> Turns:
    """Return the steps of the rotations of a map."""
    before = {*transform_steps(bare, encrypted=model.encrypted), *bare.spreads}
    if model.map_families and bare.transform.pair:
        before.add(bare.transform.pair)
    return before, bare.folds


def _held(turns: Turns, level: int, reader: int, model: CostModel) -> Iterator[tuple[int, float]]:
    """Yield the steps, and the sizes of their keys, of a map with its result at `level` whose keys suit another one
    with its result at level `reader`: those of its family."""
    families = model.map_families
    before, folds = turns
    for steps, at in ((before, level + 1), (folds, level)):
        if not families or families[at] == families[reader + 1]:
            yield from ((step, _map_key_size(model, at)) for step in steps)


def _map_key_size(model: CostModel, level: int) -> float:
    """Return the number of residue polynomials of a key for inputs at `level`, of one half: a digit has one for each
    prime."""
    return float(model.map_digits(level) * model.map_limbs(level))
