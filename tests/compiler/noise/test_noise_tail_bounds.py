"""Bounds of sums of Laplace variables, against their exact distribution and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hetorch.compiler.noise.noise_tail_bounds import EXCEEDED, Noise, bound


def noise(*variances: float) -> Noise:
    return Noise(np.array([sum(variances)]), np.array([max(variances)]))


def test_one_laplace_variable_against_its_exact_quantile() -> None:
    exact = math.log(1 / EXCEEDED) / math.sqrt(2)  # P(|X| > t) = exp(-sqrt(2) t) at variance 1
    assert exact < bound([noise(1.0)]) < 1.3 * exact
    assert bound([noise(9.0)]) == pytest.approx(3 * bound([noise(1.0)]))


def test_many_terms_come_near_the_gaussian() -> None:
    gaussian = math.sqrt(2 * math.log(2 / EXCEEDED))
    assert bound([Noise(np.ones(1), np.full(1, 1e-4))]) == pytest.approx(gaussian, rel=0.02)
    falling = [bound([Noise(np.ones(1), np.full(1, 1 / n))]) for n in (1, 2, 8, 64, 1024)]
    assert falling == sorted(falling, reverse=True)


def test_more_noise_is_a_larger_bound_and_no_larger_than_the_sum_of_bounds() -> None:
    parts = [noise(1.0), noise(*[0.01] * 200), noise(0.3, 0.3)]
    alone = [bound([part]) for part in parts]
    together = bound(parts)
    assert max(alone) < together < sum(alone)


def test_the_worst_row_counts_and_silence_is_zero() -> None:
    rows = Noise(np.array([1.0, 4.0, 0.0]), np.array([1.0, 4.0, 0.0]))
    assert bound([rows, noise(0.0)]) == pytest.approx(2 * bound([noise(1.0)]))
    assert bound([noise(0.0)]) == 0.0 == bound([])


@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0], [1.0, 0.1, 0.1], [0.5] * 20])
def test_simulated_products_of_complex_gaussians_stay_below_chernoffs_bound(weights: list[float]) -> None:
    # A rounding in a slot times the key's value there, as CKKS makes them; the tail at a level that samples reach.
    generator = np.random.default_rng(3)
    a, b = generator.normal(size=(2, len(weights), 400_000, 2)).view(np.complex128)[..., 0] / math.sqrt(2)
    sums = np.tensordot(np.array(weights), (a * b).real * math.sqrt(2), axes=1)
    variance = float(np.sum(np.square(weights)))
    assert np.var(sums) == pytest.approx(variance, rel=0.02)
    limit = bound([noise(*np.square(weights))])
    # The exponent grows at most with the square of the distance: at half of it, it is a quarter at least.
    share = float(np.mean(np.abs(sums) > limit / 2))
    assert share <= 2 * (EXCEEDED / 2) ** 0.25
    assert float(np.max(np.abs(sums))) <= limit
