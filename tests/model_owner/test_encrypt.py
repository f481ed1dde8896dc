"""Data and weights encrypted: what the server computes with, and that it is the model."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch import run_encrypted, simulate
from hetorch.engine.cleartext import CleartextCiphertext, CleartextEngine
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.errors import InputError, PlanError, PlanUseError
from hetorch.model_owner.encrypt import encrypt_weights
from hetorch.plan import Plan
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.plan.store import plan_bytes
from hetorch.runtime import Runner


@functools.cache
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 12), nn.SiLU(), nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 3)).eval()


@functools.cache
def plan(weights: str, batch_size: int = 1) -> Plan:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hetorch.compile(
            network(),
            torch.randn(200, 20, generator=torch.Generator().manual_seed(1)),
            ring_degree=2048,
            security="none",
            activation_degree=3,
            weights=weights,
            batch_size=batch_size,
        )


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.filterwarnings("ignore")
def test_the_model_runs_on_encrypted_weights(batch_size: int) -> None:
    made = plan("encrypted", batch_size)
    x = np.random.default_rng(2).uniform(-1.5, 1.5, (5, 20))
    found = run_encrypted(made, x)
    bound = made.report.predicted_error * made.report.output_range
    exact = simulate(made, x, noise=False)
    assert np.abs(found - exact).max() < bound
    with torch.no_grad():
        expected = network()(torch.from_numpy(x).float()).double().numpy()
    limit = (made.report.approximation_error + made.report.predicted_error) * made.report.output_range
    assert np.abs(found - expected).max() < 1.5 * limit


@pytest.mark.filterwarnings("ignore")
def test_the_server_has_no_weight_in_clear() -> None:
    made = plan("encrypted")
    hidden = made.without_weights()
    assert all(not np.any(a) for a in hidden.weights.values() if a.dtype == np.float64)
    assert hidden.key_spec == made.key_spec and hidden.fingerprint != made.fingerprint
    key = SecretKey.generate(made.parameters)
    weights = encrypt_weights(made, key.public_key())
    for op in made.program.operations:
        if hasattr(op, "weight") and op.weight in weights.diagonals:
            held = weights.diagonals[op.weight]
            assert op.weight_bytes(hidden.program, made.parameters, hidden.weights) == sum(
                2 * (c.level + 1) * made.parameters.ring_degree * 8 for c in held
            )
    # Encrypted twice, different ciphertexts: nobody can tell equal weights.
    again = encrypt_weights(made, key.public_key())
    name = next(iter(weights.diagonals))
    assert not np.array_equal(weights.diagonals[name][0].row(0, 0), again.diagonals[name][0].row(0, 0))


def test_the_cost_is_shown() -> None:
    clear, hidden = plan("clear"), plan("encrypted")
    assert hidden.report.predicted_seconds > clear.report.predicted_seconds
    assert hidden.report.memory_bytes > clear.report.memory_bytes
    assert "encrypted under the data owner's key" in str(hidden) and "data owner's key" not in str(clear)
    assert plan_bytes(hidden) == plan_bytes(hidden)
    assert hidden.key_spec.relinearisation_level == hidden.input_level


@pytest.mark.filterwarnings("ignore")
def test_clear_and_encrypted_are_not_mixed_up() -> None:
    clear, hidden = plan("clear"), plan("encrypted")
    key = SecretKey.generate(hidden.parameters)
    weights = encrypt_weights(hidden, key.public_key())
    with pytest.raises(PlanError, match="runs with encrypted weights"):
        Runner(hidden, NativeEngine(hidden.parameters))
    with pytest.raises(PlanError, match="its own weights"):
        Runner(clear, NativeEngine(clear.parameters), encrypted_weights=weights)
    for wrong in (clear.without_weights, lambda: encrypt_weights(clear, key.public_key())):
        with pytest.raises(PlanError, match='weights="encrypted"'):
            wrong()
    engine = CleartextEngine(hidden.parameters)
    none: EncryptedWeights[CleartextCiphertext] = EncryptedWeights({}, {})
    with pytest.raises(PlanUseError, match="cleartext"):
        Runner(hidden, engine, encrypted_weights=none)
    for weights_word, objective in (("secret", "latency"), ("encrypted", "throughput")):
        with pytest.raises(InputError):
            hetorch.compile(network(), torch.randn(10, 20), weights=weights_word, objective=objective)


@pytest.mark.filterwarnings("ignore")
def test_a_plan_without_its_weights_computes_nothing(tmp_path: Path) -> None:
    hidden = plan("encrypted").without_weights()
    hidden.save(tmp_path / "hidden.hetorch")
    x = np.zeros((1, 20))
    for given in (hidden, Plan.load(tmp_path / "hidden.hetorch")):
        for run in (run_encrypted, simulate):
            with pytest.raises(PlanUseError, match="without its weights"):
                run(given, x)
        with pytest.raises(PlanError, match="without its weights"):
            encrypt_weights(given, SecretKey.generate(given.parameters).public_key())
    assert not plan("encrypted").weights_withheld and not plan("clear").weights_withheld


@pytest.mark.filterwarnings("ignore")
def test_what_the_docstring_shows_is_the_model() -> None:
    made = plan("encrypted")
    x = np.random.default_rng(2).uniform(-1.5, 1.5, (1, 20))
    secret = SecretKey.generate(made.parameters)
    public_key, keys = secret.public_key(), secret.evaluation_keys(made.key_spec)
    engine = NativeEngine(made.parameters, evaluation_keys=keys)
    runner = Runner(made.without_weights(), engine, encrypted_weights=encrypt_weights(made, public_key))
    ciphertexts = [
        secret.encrypt(slots, level=made.input_level, scale=made.input_scale)
        for slots in made.public().pack_batch(x)
    ]
    found = made.public().unpack_batch([secret.decrypt(c) for c in runner.run(ciphertexts)])
    bound = made.report.predicted_error * made.report.output_range
    assert np.abs(found - simulate(made, x, noise=False)).max() < bound


@pytest.mark.filterwarnings("ignore")
def test_the_memory_limit_counts_weights_that_cannot_be_cut() -> None:
    made = plan("encrypted")
    x = np.zeros((1, 20))
    with pytest.raises(PlanError, match="encrypted weights, which cannot be made piece by piece"):
        run_encrypted(made, x, memory_limit=1_000_000)
    assert run_encrypted(made, x, memory_limit=made.report.memory_bytes).shape == (1, 3)


def test_the_public_plan_does_not_depend_on_the_weights(tmp_path: Path) -> None:
    made = plan("encrypted")
    made.without_weights().save(tmp_path / "hidden.hetorch")
    loaded = Plan.load(tmp_path / "hidden.hetorch")
    assert (
        made.public().to_bytes() == made.without_weights().public().to_bytes() == loaded.public().to_bytes()
    )
    assert made.public().fingerprint != made.fingerprint  # a hash of weights would let guesses be checked
    assert made.public().encrypted_weight_bytes > 0 == plan("clear").public().encrypted_weight_bytes
    assert b"encrypted_weight_bytes" not in plan("clear").public().to_bytes()
    assert "not in this plan" in str(loaded) and "not in this plan" not in str(made)
    assert loaded.to_report()["weights_withheld"] and not made.to_report()["weights_withheld"]
