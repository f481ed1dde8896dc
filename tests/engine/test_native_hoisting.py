"""Rotations of one ciphertext that share the decomposition."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch.errors import KeyMissingError
from tests.engine.conftest import Owner
from tests.interop.seal_bridge import rows_of

SCALE = 2.0**38


def test_many_rotations_have_the_bits_of_single_ones(owner: Owner) -> None:
    a = owner.encrypt(owner.values(3), 2, SCALE)
    steps = [1, 0, 1023, 100, 1, -1]
    found = owner.engine.rotate_many(a, steps)
    assert len(found) == len(steps)
    for rotated, step in zip(found, steps, strict=True):
        np.testing.assert_array_equal(rows_of(rotated), rows_of(owner.engine.rotate(a, step)))
    assert owner.engine.rotate_many(a, []) == []
    with pytest.raises(KeyMissingError):
        owner.engine.rotate_many(a, [1, 77])
