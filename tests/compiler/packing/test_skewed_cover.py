from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hetorch.compiler.packing.skewed_cover import MOST_PICKS, cover


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 60))
def test_every_non_zero_is_on_its_diagonal(seed: int, replicas: int, count: int) -> None:
    distances = np.random.default_rng(seed).integers(0, 64, (replicas, count))
    covering = cover(distances, 64)
    assert covering is not None
    indices, chosen, replica = covering
    assert indices.tolist() == sorted(set(indices.tolist()))
    assert np.array_equal(indices[chosen], distances[replica, np.arange(count)])
    assert len(indices) <= count


def test_replicas_share_the_diagonals_of_a_dense_map() -> None:
    # Replica i reads 4 slots further: a run of 4 diagonals serves all 16 distances.
    distances = (np.arange(16)[None, :] - 4 * np.arange(4)[:, None]) % 64
    covering = cover(distances, 64)
    assert covering is not None and covering[0].tolist() == [0, 1, 2, 3]


def test_too_many_diagonals_are_refused() -> None:
    assert cover(np.arange(2 * MOST_PICKS)[None, :], 4 * MOST_PICKS) is None
