from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from hetorch.compiler.noise.range_noise import DEVIATIONS, measure_range_gains, range_noise
from hetorch.compiler.noise.sampled_range_noise import sampled_range_noise
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, TensorProgram

SIZE = 16
INPUTS = np.random.default_rng(1).uniform(-1, 1, (64, SIZE))
MATRIX = np.random.default_rng(2).normal(size=(SIZE, SIZE)) / 4
SCALES = (1.0, 4.0, 1.0, 1.0, 1.0)
OWN = ((1e-8, 0.0), (16e-8, 4e-8), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))


def program(slope: tuple[float, ...] = (0.0, 1.0)) -> TensorProgram:
    """A map, a series, the sum of its result and the input, and a series that reads it."""
    operations = (
        Affine(0, sparse.csr_array(MATRIX), np.zeros(SIZE), (SIZE,), "map", "Linear"),
        Chebyshev(1, slope, (SIZE,), "first", "ReLU"),
        Add(2, 0, (SIZE,), "sum"),
        Chebyshev(3, (0.0, 1.0), (SIZE,), "second", "ReLU"),
    )
    return TensorProgram((SIZE,), operations, 4, (SIZE,))


def test_the_noise_of_linear_maps_is_that_of_their_covariance() -> None:
    # z = M (x + e0 + e1) + e2 + x + e0: exact variances of e0 at 1e-8, of e1 at 4e-8, of e2 at 16e-8 / 4^2.
    both = MATRIX + np.eye(SIZE)
    at_sum = 1e-8 * (both**2).sum(1) + 4e-8 * (MATRIX**2).sum(1) + 1e-8
    at_map = 1e-8 * (MATRIX**2).sum(1) + 4e-8 * (MATRIX**2).sum(1) + 1e-8
    exact = DEVIATIONS * np.sqrt(max(at_sum.max(), at_map.max()))
    # 256 draws of each of 16 elements: 4.4 percent each, the largest of 16 is 2 deviations too large.
    assert sampled_range_noise(program(), INPUTS, OWN, SCALES) == pytest.approx(exact, rel=0.15)


def test_the_bound_is_above_it() -> None:
    # Its slope is the largest of the samples, here at the ends of the range, where few are.
    steep = (0.0, 0.5, 0.0, 0.0, 0.0, 0.1)
    trace = trace_tensor_program(program(steep), INPUTS)
    bound = range_noise(measure_range_gains(program(steep), trace), OWN, SCALES)
    assert 0 < sampled_range_noise(program(steep), INPUTS, OWN, SCALES) < bound


def test_without_series_or_noise_there_is_none() -> None:
    alone = TensorProgram((SIZE,), program().operations[:1], 1, (SIZE,))
    assert sampled_range_noise(alone, INPUTS, OWN[:2], SCALES[:2]) == 0
    assert sampled_range_noise(program(), INPUTS, ((0.0, 0.0),) * 5, SCALES) == 0
