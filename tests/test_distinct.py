"""The distinct numbers of arrays, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch.distinct import distinct, spread


@pytest.mark.parametrize("shape", [(0,), (1,), (50,), (3, 40), (2000,)])
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_they_are_those_of_numpy(shape: tuple[int, ...], kind: type[np.signedinteger]) -> None:
    numbers = np.random.default_rng(0).integers(-20, 30, shape).astype(kind)
    found = distinct(numbers)
    assert found.dtype == kind and np.array_equal(found, np.unique(numbers))


@pytest.mark.parametrize(("count", "most"), [(1, 1), (5, 64), (64, 64), (100, 7), (1000, 999)])
def test_a_spread_has_both_ends_and_even_gaps(count: int, most: int) -> None:
    found = spread(count, most)
    gaps = np.diff(found)
    assert len(found) == min(count, most) and found[0] == 0 and found[-1] == count - 1
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
