from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hetorch.compiler.packing.baby_giant import StepCosts, split


@given(st.sets(st.integers(0, 1023), min_size=1, max_size=200), st.integers(10, 12))
def test_sums_are_the_indices(indices: set[int], log_modulus: int) -> None:
    modulus = 1 << log_modulus
    parts = split(np.array(sorted(indices), dtype=np.int64), modulus)
    assert sorted((parts.representatives % modulus).tolist()) == sorted(indices)
    assert parts.baby_count == len(set(parts.babies.tolist()) - {0})
    assert parts.giant_count == len(set(parts.giants.tolist()) - {0})


def test_a_dense_map_takes_about_two_square_roots() -> None:
    parts = split(np.arange(256), 256)
    assert parts.baby_count + parts.giant_count <= 40


def test_rows_of_taps_are_found() -> None:
    # 5 x 5 taps of an image 28 wide, padded by 2: offsets from -58 to 58.
    taps = (np.arange(-2, 3)[:, None] * 28 + np.arange(-2, 3)).reshape(-1)
    parts = split(np.sort(taps % 1024), 1024)
    assert parts.baby_count + parts.giant_count <= 14 and parts.giant_count <= 4


def test_nothing_to_rotate() -> None:
    parts = split(np.array([0]), 8)
    assert (parts.baby_count, parts.giant_count) == (0, 0)
    parts = split(np.array([7]), 8)
    assert parts.representatives.tolist() == [-1] and parts.giant_count == 0


def test_a_key_that_is_there_already_is_used() -> None:
    """16 channels of 9 taps: with a key for each tap there, giant steps of one channel take one key more."""
    taps = (np.arange(3)[:, None] * 60 + 2 * np.arange(3)).reshape(-1)
    indices = np.sort((taps + 512 * np.arange(16)[:, None]).reshape(-1))
    alone = split(indices, 8192, costs=StepCosts(key=3.0))
    keys = np.full(8192, 3.0)
    keys[taps] = 0.0
    shared = split(indices, 8192, costs=StepCosts(key=keys))
    assert set(shared.babies.tolist()) == set(taps.tolist())
    assert set(np.diff(np.unique(shared.giants)).tolist()) == {512}
    assert shared.baby_count <= alone.baby_count
