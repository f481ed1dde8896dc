"""Traces: every layer in every run, beside torch's own values."""

from __future__ import annotations

import functools
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

import hetorch
from hetorch.errors import InputError, InputRangeWarning, PlanUseError
from hetorch.inspect import trace
from hetorch.inspect.trace_result import Trace
from tests.server.small_plan import outsourced_plan

SAMPLES = 8


class Net(nn.Module):
    """A convolution with a batch norm, three activations, a residual sum, and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.pool, self.again, self.smooth = nn.AvgPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.SiLU()
        self.fc, self.last, self.score, self.price = (
            nn.Linear(36, 8),
            nn.Tanh(),
            nn.Linear(8, 3),
            nn.Linear(8, 1),
        )

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.pool(self.act(self.bn(self.conv(x))))
        y = y + self.smooth(self.again(y))
        y = self.last(self.fc(y.flatten(1)))
        return {"score": self.score(y).softmax(1), "price": 1000 + 100 * self.price(y)}


@functools.cache
def model() -> Net:
    torch.manual_seed(0)
    return Net().eval()


@functools.cache
def inputs() -> torch.Tensor:
    return torch.randn(120, 1, 6, 6, generator=torch.Generator().manual_seed(1))


@functools.cache
def plan() -> hetorch.Plan:
    return hetorch.compile(model(), inputs(), activation_tolerance=0.02)


@functools.cache
def encrypted() -> Trace:
    return trace(plan(), inputs()[:SAMPLES], model())


def layer_outputs() -> dict[str, np.ndarray]:
    """The outputs of the modules by torch's own hooks."""
    seen: dict[str, np.ndarray] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out.numpy()}))
        for name, module in model().named_children()
    ]
    with torch.no_grad():
        model()(inputs()[:SAMPLES])
    for hook in hooks:
        hook.remove()
    return seen


def test_each_layer_stands_beside_that_of_torch() -> None:
    truth, traced = layer_outputs(), encrypted()
    modules = {name.rsplit(" + ", 1)[-1]: name for name in traced.compared}
    assert {"bn", "act", "again", "fc", "last"} <= set(modules)
    for module, name in modules.items():
        if module not in truth:
            continue
        layer = traced[name]
        np.testing.assert_allclose(layer.values["model"], truth[module], atol=1e-5)
        assert layer.model is not None and layer.model.high == pytest.approx(truth[module].max(), abs=1e-5)
        error = np.abs(layer.values["compared"] - truth[module])
        assert layer.error is not None and layer.error.worst == pytest.approx(error.max(), abs=1e-5)
        assert error.max() < 0.1 * np.ptp(truth[module])


def test_the_last_layer_is_what_a_run_returns() -> None:
    traced = encrypted()
    without_noise = hetorch.simulate(plan(), inputs()[:SAMPLES], noise=False)
    cleartext = trace(plan(), inputs()[:SAMPLES], run="cleartext").outputs
    with torch.no_grad():
        truth = model()(inputs()[:SAMPLES])
    for name in ("score", "price"):
        np.testing.assert_allclose(cleartext[name], without_noise[name], rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(traced.model_outputs[name], truth[name], rtol=1e-5, atol=1e-5)
        bound = plan().report.predicted_error * plan().report.output_range
        scale = {head.name: head.scale for head in plan().interface.heads}[name]
        assert np.abs(traced.outputs[name] - cleartext[name]).max() <= bound * scale
    assert set(trace(plan(), inputs()[0], run="cleartext").outputs) == {"score", "price"}
    assert trace(plan(), inputs()[0], run="cleartext").outputs["price"].shape == (1,)


def test_noise_is_what_the_runs_differ_by() -> None:
    for layer in encrypted().layers:
        assert layer.noise is not None and layer.noise_added is not None
        difference = layer.values["encrypted"] - layer.values["cleartext"]
        assert layer.noise.worst == np.abs(difference).max()
        assert layer.noise.bits == pytest.approx(
            -np.log2(layer.noise.rms / np.ptp(layer.values["cleartext"]))
        )
        # Encryption and its model agree: each is within a factor of 3 of the other.
        simulated = np.std(layer.values["simulated"] - layer.values["cleartext"])
        assert simulated / 3 < np.std(difference) < 3 * simulated
    total = next(layer for layer in encrypted().layers if layer.kind == "sum")
    assert total.noise_added is not None and total.noise_added < 1e-12  # a sum adds no noise of its own


def test_the_times_add_up_and_the_peak_is_the_reports() -> None:
    traced = encrypted()
    assert traced.seconds == sum(layer.seconds or 0.0 for layer in traced.layers)
    assert traced.peak.memory_bytes == plan().report.memory_bytes
    rows = {row.name: row for row in plan().report.layers}
    for layer in traced.layers:
        assert (layer.level, layer.rotations) == (rows[layer.name].level, rows[layer.name].rotations)


def test_until_goes_on_with_the_model() -> None:
    traced = encrypted()
    with torch.no_grad():
        truth = model()(inputs()[:SAMPLES])
    for name in traced.compared:
        outputs = traced.until(name)
        assert np.abs(outputs["score"] - truth["score"].numpy()).max() < 0.02
    assert np.abs(traced.until("input")["score"] - truth["score"].numpy()).max() < 1e-4
    np.testing.assert_allclose(traced.until(traced.compared[-1])["price"], traced.outputs["price"])
    # One layer by hand: torch goes on from the encrypted values of the second activation's operands.
    (name,) = (name for name in traced.compared if name.endswith("fc"))
    values = torch.from_numpy(traced[name].values["compared"]).float()
    with torch.no_grad():
        hidden = torch.tanh(values.reshape(SAMPLES, -1))
        price = 1000 + 100 * model().price(hidden)
    np.testing.assert_allclose(traced.until(name)["price"], price, rtol=1e-5)
    with pytest.raises(InputError, match="no layer 'head'; its layers are input, "):
        traced.until("head")
    with pytest.raises(InputError, match="give model="):
        trace(plan(), inputs()[0], run="cleartext").until("input")


def test_values_outside_a_fitted_range_are_counted() -> None:
    with pytest.warns(InputRangeWarning):
        traced = trace(plan(), 6 * inputs()[:SAMPLES].sign(), model(), run="cleartext")
    assert (traced["act"].outside or 0) > 0 and encrypted()["act"].outside == 0
    acted, (name,) = traced["last"], (name for name in traced.compared if name.endswith("fc"))
    assert acted.fitted_range is not None and acted.outside is not None
    values = encrypted()[name].values["model"]
    assert acted.fitted_range[0] < values.min() and values.max() < acted.fitted_range[1]


def test_it_shows_as_text_html_rich_and_data() -> None:
    traced = encrypted()
    text, page = str(traced), traced._repr_html_()
    for name in (layer.name for layer in traced.layers):
        assert name in text and name in page
    assert "<script" not in page and page.count("<tr>") == len(traced.layers) + 1
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(traced)
    assert "rotations" in console.export_text()
    frame = traced.to_dataframe()
    assert list(frame["name"]) == [layer.name for layer in traced.layers]
    assert frame["noise_worst"].max() == max(layer.noise.worst for layer in traced.layers if layer.noise)
    assert len(json.loads(json.dumps(traced.to_dicts()))) == len(traced.layers)
    few = trace(plan(), inputs()[0], run="cleartext")
    assert "noise" not in str(few).splitlines()[1] and "1 sample, cleartext" in str(few)


def test_what_cannot_be_traced_is_refused() -> None:
    with pytest.raises(InputError, match="run must be one of 'cleartext'"):
        trace(plan(), inputs()[0], run="all")  # type: ignore[arg-type]
    with pytest.raises(PlanUseError, match='run="simulated"'):
        trace(outsourced_plan(), np.zeros(8))
    assert trace(outsourced_plan(), np.ones(8), run="cleartext").layers
    with pytest.raises(InputError, match="returns one tensor without a name"):
        trace(plan(), inputs()[:2], nn.Sequential(nn.Flatten(), nn.Linear(36, 7)), "cleartext")


def test_a_plan_keeps_the_ranges_of_its_activations(tmp_path: Path) -> None:
    plan().save(tmp_path / "plan")
    polynomials = hetorch.Plan.load(tmp_path / "plan").report.polynomials
    assert polynomials == plan().report.polynomials
    values = layer_outputs()
    with torch.no_grad():
        seen = model().bn(model().conv(inputs())).numpy()
    (act,) = (fit for fit in polynomials if fit.layer == "act")
    assert act.function == "relu" and act.low <= seen.min() and seen.max() <= act.high
    assert act.error < np.ptp(values["act"])
