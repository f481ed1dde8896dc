from __future__ import annotations

import math

import numpy as np
import pytest

from hetorch import run_encrypted
from hetorch.compiler.noise.predict_errors import OwnNoise
from hetorch.compiler.noise.sensitivity import measure_sensitivity
from hetorch.engine.cleartext import CleartextCiphertext, CleartextEngine
from hetorch.engine.noise import NoiseModel
from hetorch.inspect.run_slots import run_slots
from hetorch.ir.tensor_program import Chebyshev, TensorProgram
from hetorch.params import ParameterSet
from hetorch.params.insecure import insecure_small
from tests.compiler.networks import inputs, plan


def rounding_of_slots(ring_degree: int, trials: int) -> float:
    """Standard deviation of the real slots of tau_0 + tau_1 s, computed with polynomials, not with the formula."""
    generator = np.random.default_rng(0)
    n = ring_degree
    found = []
    roots = np.exp(1j * np.pi * (2 * np.arange(n // 2) + 1) / n)
    powers = np.vander(roots, n, increasing=True)
    for _ in range(trials):
        secret = generator.integers(-1, 2, n)
        t0, t1 = generator.uniform(-0.5, 0.5, (2, n))
        product = np.convolve(t1, secret)
        product = np.append(product, 0.0)
        found.append((powers @ (t0 + product[:n] - product[n:])).real)
    return float(np.std(np.concatenate(found)))


def test_rounding_noise_is_what_polynomials_give() -> None:
    model = NoiseModel(256, 1.0, 1)
    assert rounding_of_slots(256, 60) == pytest.approx(model.rounding(), rel=0.05)


def test_noise_falls_with_the_digit_ratio_and_grows_with_digits() -> None:
    model = NoiseModel(4096, 2.0**-6, 2)
    assert model.switched(3) == pytest.approx(model.switched(1) * math.sqrt(2))
    assert NoiseModel(4096, 2.0**-5, 2).switched(1) == pytest.approx(2 * model.switched(1))
    assert model.key_switch(1) == pytest.approx(math.hypot(model.switched(1), model.rounding()))


def test_model_of_a_parameter_set() -> None:
    parameters = ParameterSet.from_bits(8192, [40, 30, 30], [46, 46], digit_size=2)
    model = NoiseModel.of(parameters)
    assert model.digit_ratio == pytest.approx(2.0 ** (70 - 92), rel=0.01)


@pytest.mark.parametrize("name", ["mlp", "cnn", "wide", "residual", "gate"])
def test_prediction_bounds_the_simulation_and_is_not_idle(name: str) -> None:
    made, x = plan(name), inputs(name)[:8]
    clean = run_slots(made, x, noise=False)
    errors = [run_slots(made, x, seed=seed) - clean for seed in range(8)]
    worst = float(np.max(np.abs(errors))) / made.report.output_range
    assert worst <= made.report.predicted_error
    # The bound is of 6 to 16 standard deviations at the worst point; the worst of some hundred numbers is near 3.
    assert worst >= made.report.predicted_error / 160


def test_shares_add_up_to_the_whole() -> None:
    report = plan("cnn").report
    shares = [row.predicted_error for row in report.layers]
    # Variances at the worst output of each layer: their sum is at least that of the worst output of all.
    assert max(shares) <= report.predicted_error <= math.sqrt(sum(share**2 for share in shares)) * (1 + 1e-9)


def test_without_noise_the_engine_is_exact() -> None:
    engine = CleartextEngine(insecure_small(), noise=False)
    x = np.linspace(-1, 1, engine.parameters.slot_count)
    a = engine.encrypt(x, scale=2.0**40)
    np.testing.assert_array_equal(engine.decrypt(engine.rescale(engine.multiply(a, a))), x * x)


def test_native_engine_stays_within_the_prediction() -> None:
    pytest.importorskip("hetorch.engine._secret")
    for name in ("mlp", "gate"):
        made, x = plan(name), inputs(name)[:2]
        clean = run_slots(made, x, noise=False)
        worst = float(np.max(np.abs(run_encrypted(made, x) - clean))) / made.report.output_range
        assert worst <= made.report.predicted_error


@pytest.mark.parametrize("width", [1.0, 0.05])
def test_a_polynomial_has_the_noise_of_the_values_that_it_reads(width: float) -> None:
    """In the middle of the range, a series of high degree has several times the noise that it has on average."""
    coefficients = tuple(np.random.default_rng(0).standard_normal(64) / (1 + np.arange(64)))
    program = TensorProgram((64,), (Chebyshev(0, coefficients, (64,), "series", "series"),), 1, (64,))
    parameters = insecure_small(1 << 11, 6)
    x = np.random.default_rng(1).uniform(-width, width, (parameters.slot_count // 64, 64))
    scale = 2.0**40
    own = OwnNoise(
        program,
        {},
        (6, 0),
        (scale, scale),
        NoiseModel.of(parameters),
        measure_sensitivity(program, x),
        40.0,
        modulus_chain=parameters.modulus_chain,
    )
    predicted = math.sqrt(own.of(1)[0]) / scale
    exact = CleartextCiphertext(x.reshape(-1), 6, scale)
    noisy = CleartextEngine(parameters).polynomial(exact, coefficients, output_scale=scale)
    clean = CleartextEngine(parameters, noise=False).polynomial(exact, coefficients, output_scale=scale)
    # The deviation of 1024 numbers is within 7 % (three sigma); the rest is for quantiles in place of all values.
    assert float(np.std(noisy.values - clean.values)) == pytest.approx(predicted, rel=0.15)
