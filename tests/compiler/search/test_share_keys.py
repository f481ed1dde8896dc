"""Splits of several maps at the prices that the keys of the others leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetorch.compiler.costs.model import GIANT, CostModel
from hetorch.compiler.packing.baby_giant import StepCosts
from hetorch.compiler.packing.lower import MapOutline, outlined
from hetorch.compiler.packing.placements import compact
from hetorch.compiler.search.keys_of_maps import transform_steps
from hetorch.compiler.search.share_keys import HeldKey, PlacedMap, share_keys
from hetorch.params import KeyFamily

SLOTS = 1 << 12
MODEL = CostModel(5, 5, 1 << 13, key_weight=1.0)


def keys(maps: list[PlacedMap]) -> dict[int, int]:
    """The highest level at which each step is used, for the outlines that share_keys returns."""
    levels: dict[int, int] = {}
    for one, bare in zip(maps, share_keys(maps, SLOTS, MODEL), strict=True):
        steps = bare.transform.giants + bare.transform.babies
        np.testing.assert_array_equal(steps % one.modulus, one.indices)
        for step in transform_steps(bare, encrypted=False):
            levels[step] = max(one.level + 1, levels.get(step, 0))
    return levels


def placed(indices: np.ndarray, level: int) -> PlacedMap:
    whole = compact(SLOTS)
    return PlacedMap(np.sort(indices), SLOTS, whole, whole, level)


def test_maps_alike_share_their_keys() -> None:
    taps = (np.arange(3)[:, None] * 28 + np.arange(3)).reshape(-1)
    alone = keys([placed(taps, 9)])
    assert keys([placed(taps, 9), placed(taps, 4)]) == alone


def test_a_map_takes_the_steps_of_another() -> None:
    """A dense map of 64 diagonals has many splits of nearly equal cost: beside one with keys of its own for 8, 16, …
    it takes these."""
    dense, sparse = np.arange(64), np.arange(0, 4096, 8)
    apart = len(keys([placed(dense, 4)])) + len(keys([placed(sparse, 9)]))
    assert len(keys([placed(dense, 4), placed(sparse, 9)])) < apart


def looped(maps: list[PlacedMap], model: CostModel) -> list[MapOutline]:
    """The definition: each map is split at the prices that a loop over all others finds."""

    def size(level: int) -> float:
        return float(model.map_digits(level) * model.map_limbs(level))

    def split(one: PlacedMap, held: np.ndarray) -> MapOutline:
        level = one.level + 1
        keys = model.key_weight * (model.giant(level) / GIANT) * np.maximum(1.0 - held / size(level), 0.0)
        costs = StepCosts(model.baby(level), model.giant(level), keys)
        return outlined(one.indices, one.modulus, one.source, one.result, SLOTS, costs)

    def held(number: int) -> np.ndarray:
        sizes = np.zeros(SLOTS)
        for other, bare in enumerate(outlines):
            levels = [maps[which].level + 1 for which in (number, other)]
            families = {model.map_families[level] for level in levels} if model.map_families else {None}
            for step in transform_steps(bare, encrypted=False):
                if other != number and len(families) == 1:
                    sizes[step] = max(sizes[step], size(levels[1]))
        return sizes

    outlines = [split(one, np.zeros(SLOTS)) for one in maps]
    for _ in range(3):
        for number, one in enumerate(maps):
            outlines[number] = split(one, held(number))
    return outlines


@pytest.mark.parametrize("families", [(), (KeyFamily(1, 2),) * 5 + (KeyFamily(5, 5),) * 6])
def test_prices_are_those_that_a_loop_over_all_other_maps_finds(families: tuple[KeyFamily, ...]) -> None:
    """Also where the largest key of a step goes, because the map that had it is split anew."""
    model, rng = replace(MODEL, map_families=families), np.random.default_rng(4)
    kinds = [np.arange(64), np.arange(0, 4096, 8), rng.choice(512, 40, replace=False), np.arange(100, 130)]
    maps = [placed(kinds[rng.integers(4)], int(rng.integers(10))) for _ in range(16)]
    for bare, expected in zip(share_keys(maps, SLOTS, model), looped(maps, model), strict=True):
        np.testing.assert_array_equal(bare.transform.giants, expected.transform.giants)
        np.testing.assert_array_equal(bare.transform.babies, expected.transform.babies)
        assert (bare.babies, bare.giants) == (expected.babies, expected.giants)


def test_maps_of_one_kind_at_equal_prices_are_split_once() -> None:
    known: dict[tuple[object, ...], MapOutline] = {}
    steps = [placed(np.arange(64), 4) for _ in range(20)]
    share_keys(steps, SLOTS, MODEL, known=known)
    assert len(known) < 5
    before = dict(known)
    assert share_keys(steps, SLOTS, MODEL, known=known)[0] in before.values() and known == before
    # The prices of another model are others.
    share_keys(steps, SLOTS, replace(MODEL, key_weight=3.0), known=known)
    assert len(known) > len(before)


def test_a_map_takes_the_keys_of_other_operations_of_its_family() -> None:
    low, main = KeyFamily(1, 2), KeyFamily(5, 5)
    model = replace(MODEL, key_weight=3.0, map_families=(low,) * 4 + (main,) * 6)
    one = placed(np.arange(64), 2)

    def steps(held: list[HeldKey]) -> set[int]:
        (bare,) = share_keys([one], SLOTS, model, held)
        return set(transform_steps(bare, encrypted=False))

    alone = steps([])
    there = [HeldKey(step, low, 3) for step in range(1, 16)]
    # More baby steps, the keys of which are there, and a giant step.
    assert alone == {*range(1, 9)} and steps(there) > alone
    assert len(steps(there) - {*range(1, 16)}) <= 1
    # Keys of another family serve no map at this level.
    assert steps([HeldKey(key.step, main, 9) for key in there]) == alone
