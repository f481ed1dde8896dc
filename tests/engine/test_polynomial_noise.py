"""The model of a polynomial's noise, compared with the noise of the core, also for scales away from the primes: the
factors of T_k are then encoded at a scale that is smaller by the k-th power of the scale's ratio to the prime."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from hetorch.engine.cleartext import CleartextEngine
from hetorch.engine.noise import NoiseModel
from hetorch.engine.polynomial_noise import polynomial_noise
from hetorch.params import ParameterSet, Security
from tests.engine.conftest import Owner


def scale_beside(owner: Owner, shift: int) -> float:
    return 2.0 ** (round(math.log2(owner.parameters.modulus_chain[-1])) + shift)


def series(degree: int, seed: int) -> list[float]:
    drawn = np.random.default_rng(seed).normal(size=degree + 1) / np.arange(1, degree + 2)
    return [float(c) for c in drawn]


@pytest.mark.parametrize("shift", [-2, 0, 1, 2])
@pytest.mark.parametrize("degree", [3, 7, 12, 15, 31])
def test_the_core_makes_the_noise_of_the_model(owner: Owner, degree: int, shift: int) -> None:
    parameters = owner.parameters
    scale, output_scale = scale_beside(owner, shift), scale_beside(owner, -3)
    c, level = series(degree, degree), degree.bit_length() + 1
    x = owner.values(seed=degree)
    result = owner.engine.polynomial(owner.encrypt(x, level, scale), c, output_scale=output_scale)
    error = owner.key.decrypt(result) - chebyshev.chebval(x, c)
    model = NoiseModel.of(parameters)
    sources = polynomial_noise(
        model,
        c,
        x,
        level=level,
        input_scale=scale,
        output_scale=output_scale,
        modulus_chain=parameters.modulus_chain,
    )
    fresh = chebyshev.chebval(x, chebyshev.chebder(c)) * model.fresh() / scale
    deviation = np.sqrt(np.sum(sources**2, axis=0) + fresh**2)
    share = math.sqrt(float(np.mean((error / deviation) ** 2)))
    assert share < 1.25
    # Where the noise exceeds the result, factors of T_k are rounded to 0, and its noise vanishes with them: there the
    # model is only a bound.
    if float(np.mean(deviation**2)) < 1:
        assert share > 0.8


def test_the_simulation_shows_the_damage_of_a_wrong_scale() -> None:
    parameters = ParameterSet.from_bits(1 << 11, [46, *[36] * 6], [46], digit_size=1, security=Security.NONE)
    engine = CleartextEngine(parameters)
    c = series(15, seed=0)
    x = np.random.default_rng(0).uniform(-1, 1, parameters.slot_count)

    def error(shift: int) -> float:
        a = engine.encrypt(x, scale=2.0 ** (36 + shift))
        result = engine.decrypt(engine.polynomial(a, c, output_scale=2.0**33))
        return float(np.max(np.abs(result - chebyshev.chebval(x, c))))

    assert error(0) < 2.0**-16 < 0.5 < error(3)
