"""The baby and giant steps of all maps of a program, chosen together: a key that one map uses is free for the others.

Each map is split again and again, at the prices that the keys of the others leave: a key that another map uses at the
same or a higher level costs nothing, and one that is used at a lower level the difference. Every split lowers the sum
of all rotations and keys, or leaves it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from hetorch.compiler.costs.model import GIANT, CostModel
from hetorch.compiler.packing.baby_giant import Costs, StepCosts
from hetorch.compiler.packing.lower import MapOutline, outlined
from hetorch.compiler.packing.pairing import pair_step
from hetorch.compiler.packing.placements import Indices, Placement
from hetorch.compiler.search.keys_of_maps import transform_steps
from hetorch.params import KeyFamily

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
    maps: Sequence[PlacedMap],
    slot_count: int,
    model: CostModel,
    held_keys: Sequence[HeldKey] = (),
    known: dict[tuple[object, ...], MapOutline] | None = None,
) -> list[MapOutline]:
    """Return the outline of each map, in their order.

    Args:
        maps: the affine maps of a program.
        slot_count: the number of positions of a ciphertext.
        model: predicts the time of steps. Its key weight is the cost of a key, where a giant step at its level costs
            GIANT.
        held_keys: those of other operations.
        known: the splits that earlier calls found, for reuse.
    """
    known = {} if known is None else known
    shared = _SharedKeys(slot_count, model, held_keys)
    outlines = [_split(one, shared.sizes(one.level), model, known) for one in maps]
    for bare, one in zip(outlines, maps, strict=True):
        shared.add(bare, one.level)
    for _ in range(ROUNDS if len(maps) > 1 else 0):
        before = [_steps(bare) for bare in outlines]
        for number, one in enumerate(maps):
            shared.remove(outlines[number], one.level)
            outlines[number] = _split(one, shared.sizes(one.level), model, known)
            shared.add(outlines[number], one.level)
        if [_steps(bare) for bare in outlines] == before:
            break
    return outlines


def _split(
    one: PlacedMap, held: Costs, model: CostModel, known: dict[tuple[object, ...], MapOutline]
) -> MapOutline:
    """Split a map.

    Args:
        one: the map.
        held: the sizes of the keys that the other maps have, by step, 0 for none.
        model: predicts the time of steps.
        known: earlier splits. Recurrent layers have one map at every step, and many trials split the same maps.
    """
    level = one.level + 1
    size, unit = _map_key_size(model, level), model.giant(level) / GIANT
    baby, giant, key = model.baby(level), model.giant(level), model.key_weight * unit
    places = (one.indices, one.modulus, one.source, one.result)
    pair = pair_step(*places, level, model) if one.paired else 0
    there = np.flatnonzero(held)
    digest = blake2b(digest_size=16)
    for numbers in (one.indices, there, held[there]):
        digest.update(numbers.tobytes())
    counts = (len(one.indices), len(held), one.modulus, pair)
    name = (_kind(one.source), _kind(one.result), *counts, size, baby, giant, key, digest.digest())
    if name not in known:
        costs = StepCosts(baby, giant, key * np.maximum(1.0 - held / size, 0.0))
        known[name] = outlined(*places, len(held), costs, pair)
    return known[name]


def _kind(placement: Placement) -> tuple[object, ...]:
    """Return what outlines of maps depend on, beside their diagonals."""
    packed = (placement.row_packing, placement.runs, placement.mixed)
    return (placement.period, placement.parts, len(placement.positions), *packed)


def _steps(bare: MapOutline) -> tuple[bytes, bytes]:
    return bare.transform.giants.tobytes(), bare.transform.babies.tobytes()


class _SharedKeys:
    """The rotation keys of maps and of other operations: for each family, the size of the largest key of each step.

    A map takes a few steps, so that adding or removing one changes a few numbers, however many maps there are.
    """

    def __init__(self, slot_count: int, model: CostModel, held_keys: Sequence[HeldKey]) -> None:
        self._model = model
        families: set[KeyFamily | None] = set(model.map_families) or {None}
        self._levels: dict[KeyFamily | None, dict[int, Counter[int]]] = {name: {} for name in families}
        # With the map itself, so that no other one gets its id.
        self._found: dict[tuple[int, int], tuple[MapOutline, list[tuple[KeyFamily | None, int, int]]]] = {}
        self._own = {family: np.zeros(slot_count) for family in families}
        self._others = {family: np.zeros(slot_count) for family in families}
        for key in held_keys:
            if key.family in self._others:
                rows = key.family.digit_count(key.level) * (key.level + 1 + key.family.special_count)
                sizes = self._others[key.family]
                sizes[key.step] = max(sizes[key.step], rows)

    def sizes(self, reader: int) -> Costs:
        """Return the sizes of the keys that suit a map with its result at level `reader`, those of its family, by step;
        0 for none."""
        family = self._family(reader + 1)
        return np.maximum(self._own[family], self._others[family])

    def add(self, bare: MapOutline, level: int) -> None:
        """Add the keys of a map with its result at `level`."""
        for family, step, at in self._keys(bare, level):
            self._levels[family].setdefault(step, Counter())[at] += 1
            self._own[family][step] = max(self._own[family][step], _map_key_size(self._model, at))

    def remove(self, bare: MapOutline, level: int) -> None:
        """Remove the keys of a map that was added."""
        for family, step, at in self._keys(bare, level):
            levels = self._levels[family][step]
            levels[at] -= 1
            sizes = (_map_key_size(self._model, one) for one, count in levels.items() if count)
            self._own[family][step] = max(sizes, default=0.0)

    def _keys(self, bare: MapOutline, level: int) -> list[tuple[KeyFamily | None, int, int]]:
        """Return the family, the step, and the level of each key of a map with its result at `level`."""
        name = (id(bare), level)
        if name not in self._found:
            before = {*transform_steps(bare, encrypted=self._model.encrypted), *bare.spreads}
            if self._model.map_families and bare.transform.pair:
                before.add(bare.transform.pair)
            places = ((before, level + 1), (bare.folds, level))
            keys = [(self._family(at), step, at) for steps, at in places for step in steps]
            self._found[name] = (bare, keys)
        return self._found[name][1]

    def _family(self, level: int) -> KeyFamily | None:
        return self._model.map_families[level] if self._model.map_families else None


def _map_key_size(model: CostModel, level: int) -> float:
    """Return the number of residue polynomials of a key for inputs at `level`, of one half: a digit has one for each
    prime."""
    return float(model.map_digits(level) * model.map_limbs(level))
