"""The distinct numbers of arrays, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch.distinct import distinct


@pytest.mark.parametrize("shape", [(0,), (1,), (50,), (3, 40), (2000,)])
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_they_are_those_of_numpy(shape: tuple[int, ...], kind: type[np.signedinteger]) -> None:
    numbers = np.random.default_rng(0).integers(-20, 30, shape).astype(kind)
    found = distinct(numbers)
    assert found.dtype == kind and np.array_equal(found, np.unique(numbers))
