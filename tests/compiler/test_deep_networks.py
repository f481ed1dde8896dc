"""Networks that no ring has levels for: compiled with bootstraps, run in clear and encrypted."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import hetorch
from hetorch import run_encrypted, simulate
from hetorch.errors import ApproximationWarning, InfeasibleError
from hetorch.inspect.run_slots import run_slots
from hetorch.ir.he_operations import Bootstrap
from hetorch.plan import Plan

SMALL: dict[str, Any] = {"security": "none", "ring_degree": 1 << 11}
"""A ring that protects nothing, on which a bootstrap takes milliseconds."""
pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")


class Residual(nn.Module):
    """Blocks of two activations whose input is added to their result, as in a ResNet."""

    def __init__(self, blocks: int, size: int = 8) -> None:
        super().__init__()
        self.first = nn.ModuleList(nn.Linear(size, size) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Linear(size, size) for _ in range(blocks))
        self.last = nn.Linear(size, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for first, second in zip(self.first, self.second, strict=True):
            x = torch.relu(x + second(torch.relu(first(x))))
        result: torch.Tensor = self.last(x)
        return result


def network(blocks: int = 7) -> Residual:
    torch.manual_seed(1)
    return Residual(blocks).eval()


def inputs() -> torch.Tensor:
    return torch.rand(300, 8, generator=torch.Generator().manual_seed(2)) * 2 - 1


def truth(samples: torch.Tensor) -> NDArray[np.float64]:
    with torch.no_grad():
        return np.asarray(network()(samples).numpy(), dtype=np.float64)


@functools.cache
def deep_plan() -> Plan:
    return hetorch.compile(network(), inputs()[:200], activation_degree=31, **SMALL)


def test_a_deep_network_is_bootstrapped() -> None:
    made = deep_plan()
    bootstraps = [op for op in made.program.operations if isinstance(op, Bootstrap)]
    rows = [row for row in made.report.layers if row.kind == "bootstrap"]
    assert len(bootstraps) == len(rows) > 3
    for row in rows:
        assert row.name.endswith(".bootstrap") and row.predicted_seconds > 0 and row.predicted_error > 0
        assert row.rotations > 40 and row.key_bytes > 0
        # A bootstrap's result is the value of the model that was bootstrapped.
        assert row.gain is not None
    # Equal bootstraps share their diagonals, which count once.
    shared = {op.shared_preparation(made.program) for op in bootstraps}
    assert sum(row.weight_bytes > 0 for row in rows) == len(shared) < len(rows)
    assert f"{len(rows)} bootstraps" in str(made.report) and ".bootstrap" in str(made.report)


def test_outputs_are_those_of_torch_in_clear_and_encrypted() -> None:
    made, samples = deep_plan(), inputs()[200:203]
    span, bound = made.report.output_range, made.report.predicted_error
    exact = simulate(made, samples.numpy(), noise=False)
    # The promise is measured on calibration inputs; twice as much is allowed for others.
    assert np.abs(exact - truth(samples)).max() <= 2 * made.report.approximation_error * span
    in_clear = np.array([run_slots(made, sample) for sample in samples.numpy()]).reshape(exact.shape)
    assert np.abs(in_clear - exact).max() <= bound * span
    encrypted = run_encrypted(made, samples.numpy())
    assert np.abs(encrypted - exact).max() <= bound * span
    # Noise there is: more than that of the format, and much less than that of the polynomials.
    assert np.abs(encrypted - exact).max() / span > 2.0**-30 and bound < made.report.approximation_error


def test_the_sine_counts_as_an_approximation() -> None:
    made, samples = deep_plan(), inputs()[:200]
    exact = simulate(made, samples.numpy(), noise=False)
    error = np.abs(exact - truth(samples)).max() / made.report.output_range
    assert error == pytest.approx(made.report.approximation_error, rel=1e-6)


def test_a_saved_plan_is_the_same(tmp_path: Path) -> None:
    made = deep_plan()
    made.save(tmp_path / "deep")
    again = Plan.load(tmp_path / "deep")
    assert again.program.operations == made.program.operations and again.key_spec == made.key_spec
    assert str(again) == str(made)


def test_limits_hold() -> None:
    made = deep_plan()
    keys = made.public().evaluation_key_bytes
    fewer = hetorch.compile(network(), inputs()[:200], activation_degree=31, key_limit=keys - 1, **SMALL)
    assert fewer.public().evaluation_key_bytes < keys
    assert fewer.report.predicted_seconds >= made.report.predicted_seconds
    with pytest.raises(InfeasibleError, match=r"evaluation keys .* key_limit="):
        hetorch.compile(network(), inputs()[:200], activation_degree=31, key_limit=keys // 20, **SMALL)
    with pytest.raises(InfeasibleError, match=r"of memory .* memory_limit="):
        hetorch.compile(network(), inputs()[:200], activation_degree=31, memory_limit=keys, **SMALL)
    with pytest.raises(InfeasibleError, match="precision="):
        hetorch.compile(network(), inputs()[:200], activation_degree=31, precision=1e-9, **SMALL)


def test_samples_side_by_side_are_bootstrapped_together() -> None:
    made = hetorch.compile(network(), inputs()[:200], activation_degree=31, batch_size=4, **SMALL)
    samples = inputs()[200:204].numpy()
    assert made.program.batch == 4
    span, bound = made.report.output_range, made.report.predicted_error
    exact = simulate(made, samples, noise=False)
    assert np.abs(run_encrypted(made, samples) - exact).max() <= bound * span


@pytest.mark.slow
def test_the_secure_ring() -> None:
    made = hetorch.compile(network(), inputs()[:200], activation_degree=127)
    assert made.parameters.ring_degree == 1 << 16 and made.parameters.security.value == "128"
    samples = inputs()[200:201].numpy()
    span, bound = made.report.output_range, made.report.predicted_error
    exact = simulate(made, samples, noise=False)
    assert np.abs(run_encrypted(made, samples) - exact).max() <= bound * span


def test_bootstraps_are_taken_where_a_ring_has_too_few_levels_for_the_goal() -> None:
    """Ten activations fit the levels of a ring with polynomials of degree 15, which are too far from ReLU."""
    torch.manual_seed(3)
    layers: list[nn.Module] = [nn.Linear(8, 8), nn.ReLU()]
    for _ in range(8):
        layers += [nn.Linear(8, 8), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(8, 1)).eval()
    with torch.no_grad():
        for layer in layers:
            if isinstance(layer, nn.Linear):
                layer.weight *= 2.0
    options: dict[str, Any] = {**SMALL, "activation_tolerance": 0.02}
    with pytest.warns(ApproximationWarning, match="levels"):
        ring = hetorch.compile(model, inputs()[:200], bootstrap="never", **options)
    assert "bootstrap" not in {row.kind for row in ring.report.layers}
    refreshed = hetorch.compile(model, inputs()[:200], **options)
    assert "bootstrap" in {row.kind for row in refreshed.report.layers}
    ring_error = f"{ring.report.approximation_error:.2%}"
    assert any(ring_error in note and 'bootstrap="never"' in note for note in refreshed.report.notes)
    assert refreshed.report.approximation_error < ring.report.approximation_error
    with pytest.raises(InfeasibleError, match="levels"):
        hetorch.compile(model, inputs()[:200], bootstrap="never", strict=True, **options)
    told = hetorch.analyze(model, inputs()[:200], **options)
    assert told.supported and any("bootstraps" in note for note in told.notes)
