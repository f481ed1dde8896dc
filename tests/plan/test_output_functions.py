"""The functions that end a model, which the client applies: those of torch, read strictly, the same for every way to
run a plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import hetorch
from hetorch.client import Client, Vault
from hetorch.errors import PlanFormatError, WireError
from hetorch.inspect.run_slots import run_slots
from hetorch.plan.heads import Head
from hetorch.plan.interface import Interface
from hetorch.plan.output_functions import OutputFunction, applied
from hetorch.plan.public import PublicPlan
from hetorch.serving.models import serve_plan
from tests.server.live import live
from tests.server.small_plan import small_plan

Function = Callable[[torch.Tensor], torch.Tensor]
FUNCTIONS: dict[str, tuple[OutputFunction, Function]] = {
    "softmax": (OutputFunction("softmax"), lambda x: x.softmax(-1)),
    "softmax over channels": (OutputFunction("softmax", -2), lambda x: x.softmax(-2)),
    "log_softmax": (OutputFunction("log_softmax"), lambda x: x.log_softmax(-1)),
    "softmin": (OutputFunction("softmin"), lambda x: F.softmin(x, -1)),
    "argmax": (OutputFunction("argmax", -2), lambda x: x.argmax(-2)),
    "argmax, kept": (OutputFunction("argmax", -2, True), lambda x: x.argmax(-2, keepdim=True)),
    "sigmoid": (OutputFunction("sigmoid"), torch.sigmoid),
    "log_sigmoid": (OutputFunction("log_sigmoid"), F.logsigmoid),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_those_of_torch(name: str) -> None:
    function, truth = FUNCTIONS[name]
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 300
    own = applied((function,), x.numpy())
    right = truth(x).numpy()
    assert own.shape == right.shape and own.dtype == right.dtype
    np.testing.assert_allclose(own, right, rtol=1e-12, atol=1e-300)


class Ends(nn.Module):
    def __init__(self, end: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.last, self.end = nn.Linear(8, 6), end

    def forward(self, x: torch.Tensor) -> Any:
        return self.end(self.last(x * x))


ENDS: dict[str, Callable[[torch.Tensor], Any]] = {
    "softmax": lambda y: y.softmax(1),
    "log_softmax": lambda y: F.log_softmax(y, dim=-1),
    "softmin": lambda y: F.softmin(y, dim=-1),
    "sigmoid": torch.sigmoid,
    "sigmoid without an axis": lambda y: torch.sigmoid(y[:, :1]).squeeze(1),
    "sigmoid of an image": lambda y: torch.sigmoid(y).reshape(-1, 2, 3).transpose(1, 2),
    "map of classes": lambda y: y.reshape(-1, 3, 2).softmax(1),
    "several": lambda y: {"class": y[:, :3].softmax(1), "mask": y[:, 3:5].sigmoid(), "price": 50 * y[:, 5:]},
    "tuple": lambda y: (y.log_softmax(1), y),
}
X = torch.randn(60, 8, generator=torch.Generator().manual_seed(1))


def parts(result: Any) -> list[Any]:
    return (
        list(result.values())
        if isinstance(result, dict)
        else list(result)
        if isinstance(result, tuple)
        else [result]
    )


@pytest.mark.parametrize("name", ENDS)
def test_every_way_to_run_a_plan_returns_what_the_model_returns(name: str) -> None:
    model = Ends(ENDS[name]).eval()
    plan = hetorch.compile(model, X)
    assert plan.report.approximation_error < 1e-6  # nothing but squares is left
    with torch.no_grad():
        truth = model(X[:3])
    scales = [head.scale for head in plan.interface.heads] or [1.0]
    for run in (hetorch.simulate, run_slots, hetorch.run_encrypted):
        for own, right, scale in zip(parts(run(plan, X[:3])), parts(truth), scales, strict=True):
            bound = plan.report.predicted_error * plan.report.output_range * scale
            assert own.shape == right.shape
            assert np.abs(own - right.numpy()).max() <= 2 * bound + 1e-6


def test_an_argmax_at_the_end_gives_the_classes() -> None:
    model = Ends(lambda y: y.argmax(1)).eval()
    plan = hetorch.compile(model, X)
    with torch.no_grad():
        scores = model.last(X * X).sort(dim=1).values
        sure = (scores[:, -1] - scores[:, -2] > 1e-2).numpy()
        assert sure.mean() > 0.5
        assert np.array_equal(hetorch.simulate(plan, X)[sure], model(X).numpy()[sure])
    assert hetorch.run_encrypted(plan, X[0]).shape == ()


def test_a_marked_sigmoid_is_approximated() -> None:
    model = nn.Sequential(nn.Linear(8, 2), hetorch.approximate(nn.Sigmoid(), degree=7)).eval()
    plan = hetorch.compile(model, X)
    assert plan.interface.functions == () and plan.report.approximation_error > 0


def test_a_softmax_over_the_batch_is_refused() -> None:
    with pytest.raises(hetorch.errors.UnsupportedModelError, match="samples of a batch influence each other"):
        hetorch.compile(Ends(lambda y: y.softmax(0)), X)


def test_the_client_applies_them(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault")
    sigmoid = (OutputFunction("sigmoid"),)
    plans = {
        "one": replace(small_plan(), interface=Interface(functions=(OutputFunction("softmax"),))),
        "two": replace(
            small_plan(), interface=Interface(heads=(Head("a", (3,), functions=sigmoid), Head("b", (1,))))
        ),
    }
    x = X[:2].clamp(-1, 1).numpy().astype(np.float64)
    raw = {name: hetorch.simulate(replace(plan, interface=Interface()), x) for name, plan in plans.items()}
    with live({name: serve_plan(name, plan) for name, plan in plans.items()}) as url:
        with Client(url, vault=vault, model="one", allow_insecure=True) as client:
            shares = client.predict(x)
        with Client(url, vault=vault, model="two", allow_insecure=True) as client:
            both = client.predict(x)
    assert np.abs(shares - torch.from_numpy(raw["one"]).softmax(1).numpy()).max() < 2.0**-18
    assert np.abs(both["a"] - torch.from_numpy(raw["two"][:, :3]).sigmoid().numpy()).max() < 2.0**-18
    assert np.abs(both["b"] - raw["two"][:, 3:]).max() < 2.0**-18


WHOLE = Interface(functions=(OutputFunction("softmax"), OutputFunction("argmax", -1)))


def test_bytes_and_back(tmp_path: Any) -> None:
    plan = replace(small_plan(), interface=WHOLE)
    public = plan.public()
    assert PublicPlan.from_bytes(public.to_bytes()) == public
    assert "softmax" in str(plan)
    plan.save(tmp_path / "plan")
    assert hetorch.Plan.load(tmp_path / "plan").interface == WHOLE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f[0].update(name="exec"), "name must be one of softmax"),
        (lambda f: f[0].update(axis=0), "axis: expected an integer"),
        (lambda f: f[0].update(axis=-2), "has the axis -2 of an output with 1 axes"),
        (lambda f: f.append(f[1]), "argmax has the axis -1 of an output with 0 axes"),
        (lambda f: f.extend(f * 10), "at most 16"),
        (lambda f: f[0].update(more=1), "unknown fields"),
        (lambda f: f[0].pop("keeps_axis"), "missing"),
    ],
)
def test_a_hostile_server_gets_one_clear_error(change: Callable[[Any], object], message: str) -> None:
    data = json.loads(replace(small_plan(), interface=WHOLE).public().to_bytes())
    change(data["interface"]["functions"])
    with pytest.raises(WireError, match=message):
        PublicPlan.from_bytes(json.dumps(data).encode())


def test_functions_belong_to_one_output() -> None:
    with pytest.raises(PlanFormatError, match="functions besides heads"):
        replace(small_plan(), interface=replace(WHOLE, heads=(Head("a", (4,)),)))
