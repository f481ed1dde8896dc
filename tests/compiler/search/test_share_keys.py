"""Splits of several maps at the prices that the keys of the others leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hetorch.compiler.costs.model import CostModel
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
