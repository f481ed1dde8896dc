"""Random networks keep the promise: none explodes, all that compile run, and the bounds hold.

On calibration inputs, the error is at most that of encryption and that of the polynomials together, as the plan states
both. On fresh inputs from the same distribution, the outputs stay as small as the ones that q_0 has room for, and the
error of encryption keeps its bound too, except where an input leaves the ranges, so that the polynomials are as wrong.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hetorch import run_encrypted, simulate
from hetorch.compiler.activations.polynomial_growth import TAIL_GROWTH
from hetorch.compiler.api import compile
from hetorch.errors import InfeasibleError, InputError
from tests.random_networks.networks import RandomNetwork, random_network

COUNT, SHORT, ENCRYPTED = 200, 20, 10
"""Number of all networks, of those in the ordinary suite, and of those that also run encrypted."""
SAMPLES = 4
"""Number of calibration inputs, and of fresh ones, that a network runs on."""
FEW_KEYS = 3e7
"""Largest size in bytes of the keys of a plan that is run encrypted."""
REFUSED = 0.2
"""Largest accepted share of the networks that are too deep or whose polynomials are too rough."""

pytestmark = [
    pytest.mark.filterwarnings("ignore::hetorch.errors.InputRangeWarning"),
    pytest.mark.filterwarnings("ignore::hetorch.errors.ApproximationWarning"),
    pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning"),
]


def check(network: RandomNetwork, *, encrypted: bool = False) -> bool:
    """Compile a network and check the promise; return False if it is refused."""
    try:
        plan = compile(network.model, network.calibration, **network.options)
    except InfeasibleError as refused:
        # A plan that was made and then found to break its promise is a fault, however it is refused.
        assert "what helps: more calibration inputs" not in str(refused), refused
        return False
    report = plan.report
    with torch.no_grad():
        expected = network.model(network.calibration).numpy()
    span, x = report.output_range, network.calibration[:SAMPLES].numpy()
    error = np.max(np.abs(simulate(plan, x) - expected[:SAMPLES])) / span
    assert error <= report.promised_error + 1e-6

    fresh = network.fresh[:SAMPLES]
    with torch.no_grad():
        truth = network.model(fresh).numpy()
    exact = simulate(plan, fresh.numpy(), noise=False)
    assert np.max(np.abs(exact)) <= TAIL_GROWTH * np.max(np.abs(expected))
    noise = np.abs(simulate(plan, fresh.numpy()) - exact).reshape(SAMPLES, -1).max(axis=1) / span
    wrong = np.abs(exact - truth).reshape(SAMPLES, -1).max(axis=1) / span
    inside = wrong <= 2 * report.approximation_error + 1e-6
    assert np.all(noise[inside] <= report.predicted_error)

    if encrypted and plan.public().evaluation_key_bytes <= FEW_KEYS:
        error = (
            np.max(
                np.abs(
                    run_encrypted(plan, x[:1], engine=network.options.get("engine", "native")) - expected[:1]
                )
            )
            / span
        )
        assert error <= report.promised_error + 1e-6
    return True


@pytest.mark.parametrize("seed", range(SHORT))
def test_short(seed: int) -> None:
    check(random_network(seed), encrypted=seed < ENCRYPTED)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, COUNT, 20))
def test_all(first: int) -> None:
    seeds = range(first, first + 20)
    refused = 0
    for seed in seeds:
        network = random_network(seed)
        try:
            refused += not check(network, encrypted=seed % 5 == 0)
        except (AssertionError, InputError) as broken:
            raise AssertionError(f"seed {seed}: {network.text}") from broken
    assert refused <= REFUSED * len(seeds)
