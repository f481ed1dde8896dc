"""The predicted noise of the standard sets, against what bootstraps of these sets were measured to have."""

from __future__ import annotations

import math

import pytest

from hetorch.engine.bootstrap_noise import bootstrap_noise, largest_noise
from hetorch.engine.bootstrapping import PlannedBootstrap
from hetorch.params.bootstrap_set import standard_bootstrap_set
from hetorch.params.bootstrap_sizes import LARGE_RING, SMALL_RING

MEASURED = {
    (SMALL_RING, 3): -17.0,
    (SMALL_RING, 4): -17.0,
    (SMALL_RING, 5): -16.3,
    (SMALL_RING, 6): -17.3,
    (SMALL_RING, 7): -16.2,
    (SMALL_RING, 8): -14.1,
    (LARGE_RING, 8): -18.1,
}
"""log2 of the root mean square of the noise, by ring and user levels, for inputs uniform in [-1, 1] (decision 51)."""


@pytest.mark.parametrize(("ring_degree", "user_levels"), MEASURED)
def test_the_noise_is_the_measured_one(ring_degree: int, user_levels: int) -> None:
    boot = standard_bootstrap_set(1 << 14, user_levels, ring_degree=ring_degree)
    scale = 2.0**boot.user_bits
    planned = PlannedBootstrap(boot, scale, scale)
    # The measurement has its last digit, and a root mean square of heavy tails varies by 10 percent.
    assert math.log2(bootstrap_noise(planned)) == pytest.approx(MEASURED[ring_degree, user_levels], abs=0.2)
    # Most of it is the noise of T_2, amplified by range^2 / 4 |u|, u = I - 1/4. If all was, the ratio would be 1.91.
    assert largest_noise(planned) / bootstrap_noise(planned) == pytest.approx(1.8, abs=0.1)


@pytest.mark.parametrize("user_levels", [1, 12])
def test_the_noise_of_the_large_ring_does_not_depend_on_the_levels(user_levels: int) -> None:
    # Only the switches of keys do, whose digits are longer.
    boot = standard_bootstrap_set(1 << 14, user_levels)
    planned = PlannedBootstrap(boot, 2.0**40, 2.0**40)
    assert math.log2(bootstrap_noise(planned)) == pytest.approx(MEASURED[LARGE_RING, 8], abs=0.2)
