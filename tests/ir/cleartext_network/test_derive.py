"""The network without slots against the slots themselves: the same program in the cleartext engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetorch.compiler.api import compile
from hetorch.inspect.run_slots import run_slots
from hetorch.inspect.simulate import simulate
from hetorch.ir.cleartext_network.steps import SeriesStep
from hetorch.ir.he_operations import operation_kinds
from hetorch.plan import Plan
from tests.compiler.networks import NETWORKS, inputs, model, plan
from tests.server.small_plan import expected, outsourced_plan, small_plan

pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.InputRangeWarning")


@pytest.mark.parametrize("name", NETWORKS)
def test_it_computes_what_the_slots_compute(name: str) -> None:
    made, x = plan(name), inputs(name)[:3]
    slots = run_slots(made, x, noise=False)
    np.testing.assert_allclose(simulate(made, x, noise=False), slots, atol=1e-11 * np.abs(slots).max())


def test_samples_side_by_side_are_one_network() -> None:
    made = compile(model("mlp"), inputs("mlp")[:64], activation_degree=3, batch_size=8)
    x = inputs("mlp")[:11]
    slots = run_slots(made, x, noise=False)
    assert made.batch_size == 8
    np.testing.assert_allclose(simulate(made, x, noise=False), slots, atol=1e-11 * np.abs(slots).max())


def test_a_plan_written_by_hand() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (300, 8))  # more than go through together
    np.testing.assert_allclose(simulate(small_plan(), x, noise=False), expected(x), atol=1e-12)


@pytest.mark.parametrize("name", ["mlp", "cnn", "wide", "residual", "gate", "ends"])
def test_the_noise_is_that_of_the_slots(name: str) -> None:
    """Root mean squares over all outputs, samples and seeds: a factor of 2 for what one number for each element cannot
    hold (replicas that share a part of their noise), and for the chance of few outputs."""
    made, x = plan(name), inputs(name)[:4]
    slots = run_slots(made, x, noise=False)
    of_slots = np.stack([run_slots(made, x, seed=seed) - slots for seed in range(6)])
    many = np.repeat(x, 50, axis=0)
    of_network = simulate(made, many, seed=1) - simulate(made, many, noise=False)
    ratio = np.sqrt(np.mean(of_network**2)) / np.sqrt(np.mean(of_slots**2))
    assert 0.5 < ratio < 2.0


def test_noise_of_other_samples_and_seeds_is_other_noise() -> None:
    made, x = plan("cnn"), np.repeat(inputs("cnn")[:1], 400, axis=0)
    clean, noisy = simulate(made, x, noise=False), simulate(made, x)
    error = noisy - clean
    assert len(np.unique(error[:, 0])) == 400
    np.testing.assert_array_equal(noisy, simulate(made, x, seed=0))
    # Correlation of independent noise: 1 / sqrt(4000) is a standard deviation.
    other = simulate(made, x, seed=1) - clean
    assert abs(np.corrcoef(error.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(error.size)
    # The kurtosis of a Gaussian is 3.
    scaled = error / error.std(axis=0)
    assert np.mean(scaled**4) == pytest.approx(3.0, abs=0.5)


def test_encrypted_weights_add_noise_of_their_own() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (200, 8))
    errors = [simulate(made, x) - expected(x) for made in (small_plan(), outsourced_plan())]
    clear, encrypted = (float(np.std(error)) for error in errors)
    assert encrypted > 1.5 * clear


def test_every_operation_is_known() -> None:
    """A plan with an operation that is not handled is refused with its name: the list is kept whole here."""
    own = {name for name, kind in operation_kinds().items() if kind.__module__.startswith("hetorch.")}
    assert own == {
        *(
            "add",
            "add_bias",
            "bootstrap",
            "drop_level",
            "linear_transform",
            "multiply",
            "paired_transform",
            "polynomial",
            "rescale",
            "rotate_add",
        )
    }


def test_a_sample_beyond_a_polynomials_range_is_told() -> None:
    made: Plan = plan("wide")
    assert any(isinstance(step, SeriesStep) for step in made.network().steps)
    x = np.concatenate([inputs("wide")[:64], 6 * inputs("wide")[:64]])
    beyond = np.zeros(len(x), dtype=bool)
    made.network().run(x, beyond=beyond)
    assert not beyond[:64].any() and beyond[64:].mean() > 0.2


def test_the_network_is_derived_once_and_belongs_to_its_plan() -> None:
    made = small_plan()
    assert made.network() is made.network()
    assert replace(made).network() is not made.network()
