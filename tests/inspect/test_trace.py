"""Traces: every layer in every run, beside torch's own values."""

from __future__ import annotations

import copy
import functools
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

import hetorch
from hetorch.errors import InputError, InputRangeWarning, PlanUseError
from hetorch.inspect import trace
from hetorch.inspect.layers import layers_of
from hetorch.inspect.record import record_times
from hetorch.inspect.trace_result import Trace
from hetorch.runtime import Event
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


def test_one_sample_is_enough_and_a_wrong_factor_of_a_channel_is_seen() -> None:
    one = trace(plan(), inputs()[:1], model(), run="cleartext")
    assert one.compared == encrypted().compared
    newer = copy.deepcopy(model())
    with torch.no_grad():
        newer.again.weight[1].mul_(3)
        newer.again.bias[1].mul_(3)  # type: ignore[index]
    other = trace(plan(), inputs()[:SAMPLES], newer, run="cleartext")
    name = next(name for name in other.compared if name.endswith("again"))
    values = other[name].values
    difference = np.abs(values["compared"] - values["model"]).max(axis=(0, 2, 3))
    assert difference.argmax() == 1 and difference[1] > 10 * np.delete(difference, 1).max()


def test_the_plan_keeps_the_units_and_hides_them_with_the_weights() -> None:
    layers = {row.name: row for row in plan().report.layers}
    assert layers["pool"].gain is not None and layers["conv + bn"].gain
    assert all(row.gain is not None for name, row in layers.items() if not name.endswith("smooth"))
    hidden = hetorch.compile(model(), inputs(), activation_degree=2, weights="encrypted").without_weights()
    assert not any(row.gain or row.offset for row in hidden.report.layers)


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


def test_the_times_of_all_operations_belong_to_a_layer() -> None:
    for made in (plan(), hetorch.compile(model(), inputs(), activation_degree=4)):
        program = made.program

        def run(ciphertexts: Any, listen: Any, program: Any = program) -> None:
            for op in program.operations:
                listen(Event(op, program.layers[op.layer], 0, 1.0, 1.0, 2, (None,) * len(op.makes)))

        told: list[None] = []
        record = record_times(
            made,
            layers_of(made),
            made.public().samples(inputs()[:2])[0],
            lambda slots: slots,  # type: ignore[arg-type,return-value]
            run,
            functools.partial(told.append, None),
        )
        assert sum(record.seconds) == len(program.operations) and sum(record.rotations) == 2 * len(
            program.operations
        )
        assert len(told) == 2 * len(program.operations) and not record.values


def test_without_values_only_times_and_levels_are_told() -> None:
    traced = trace(plan(), inputs()[:2], values=False)
    whole = encrypted()
    assert traced.seconds and traced.peak.name == whole.peak.name
    for layer, other in zip(traced.layers, whole.layers, strict=True):
        assert (layer.level, layer.scale_bits, layer.rotations) == (
            other.level,
            other.scale_bits,
            other.rotations,
        )
        assert not layer.values and layer.cleartext is None and layer.noise is None
    assert "values" not in str(traced).splitlines()[1] and "rotations" in str(traced).splitlines()[1]
    assert len(traced.to_dataframe()) == len(traced.layers)
    with pytest.raises(InputError, match="values=False"):
        _ = traced.outputs
    wrongs: list[dict[str, Any]] = [{"run": "simulated"}, {"model": model()}]
    for wrong in wrongs:
        with pytest.raises(InputError, match='needs run="encrypted" and takes no model'):
            trace(plan(), inputs()[:2], values=False, **wrong)


class Twice(nn.Module):
    """One activation that is called twice, on ranges that differ tenfold."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.act = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3), nn.SiLU()
        with torch.no_grad():
            self.b.weight.mul_(10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.c(self.act(self.b(self.act(self.a(x)))))
        return y


def test_each_call_of_a_module_is_a_layer_of_its_own() -> None:
    torch.manual_seed(0)
    twice, x = Twice().eval(), torch.randn(100, 8)
    made = hetorch.compile(twice, x, activation_degree=7)
    first, second = made.report.polynomials
    assert (first.layer, second.layer) == ("act", "act (2)") and second.high > 3 * first.high
    traced = trace(made, x[:16], twice, "simulated")
    with torch.no_grad():
        truth = [twice.act(twice.a(x[:16])), twice.act(twice.b(twice.act(twice.a(x[:16]))))]
    for fit, values in zip((first, second), truth, strict=True):
        assert traced[fit.layer].fitted_range == (fit.low, fit.high)
        np.testing.assert_allclose(traced[fit.layer].values["model"], values, atol=1e-5)


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


def test_a_plan_keeps_ranges_and_curves_of_channels_unless_weights_are_withheld(tmp_path: Path) -> None:
    with torch.no_grad():
        seen = model().bn(model().conv(inputs())).numpy()
    act = plan().report.polynomials[0]
    assert len(act.channel_low) == len(act.channel_high) == 4
    for channel in range(4):  # the ends are rounded to five digits
        width = act.channel_high[channel] - act.channel_low[channel]
        assert act.channel_low[channel] - 1e-3 * width < seen[:, channel].min()
        assert act.channel_high[channel] + 1e-3 * width > seen[:, channel].max()
    assert min(act.channel_low) == pytest.approx(act.low, rel=1e-4)
    assert len(act.curves) == 4 and sum(act.histogram) == pytest.approx(1.0, abs=1e-3)
    shares = np.histogram(seen, len(act.histogram), (act.low, act.high))[0] / seen.size
    np.testing.assert_allclose(act.histogram, shares, atol=1e-4)
    for curve in act.curves:
        x = np.linspace(curve.low, curve.high, len(curve.function))
        np.testing.assert_allclose(curve.function, np.maximum(x, 0.0), atol=1e-3)
        assert np.abs(np.array(curve.polynomial) - curve.function).max() <= act.error + 1e-3
    outsourced = hetorch.compile(model(), inputs(), activation_tolerance=0.02, weights="encrypted")
    outsourced.without_weights().save(tmp_path / "server")
    for fit in hetorch.Plan.load(tmp_path / "server").report.polynomials:
        assert not (fit.curves or fit.histogram or fit.channel_low or fit.channel_high)


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
