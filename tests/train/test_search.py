"""The search for degrees: what it predicts is what the compiler then does, and what it trains keeps the budget."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import hetorch
from hetorch.errors import InputError
from hetorch.train import PolyAct, Searched, fine_tune, prepare, search
from hetorch.train.search_assignment import assigned, settle
from hetorch.train.search_costs import Cost
from hetorch.train.search_path import Path
from hetorch.train.training_data import Batch

OPTIONS: dict[str, Any] = {"ring_degree": 4096, "security": "none", "progress": False}
pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")


def data(count: int, seed: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    x = torch.randn(count, 6)
    return x, (x[:, 0] * x[:, 1] + x[:, 2] > 0).long()


@functools.cache
def model() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 2))
    x, y = data(512, 0)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval()


@functools.cache
def less_time() -> Searched:
    return search(model(), data(512, 0), share=0.85, epochs=1, degrees=(4, 2), **OPTIONS)


def test_the_time_is_kept_and_is_that_of_the_plan() -> None:
    found = less_time()
    start = found.path[0]
    assert set(start.degrees.values()) == {4} and found.chosen.seconds <= 0.85 * start.seconds
    assert set(found.degrees) == {"1", "3"} and found.degrees != start.degrees
    tuned = fine_tune(model(), data(512, 0), degree=found.degrees, epochs=2, progress=False)
    acts = {name: part.degree for name, part in tuned.model.named_modules() if isinstance(part, PolyAct)}
    assert acts == found.degrees
    plan = hetorch.compile(tuned.model, data(256, 0)[0], **OPTIONS)
    # The weights are others than those of the search, so that primes may differ by some bits.
    assert plan.parameters.max_level == found.chosen.levels
    assert plan.report.predicted_seconds < start.seconds


def test_the_same_seed_finds_the_same_and_the_model_stays() -> None:
    before = {key: value.clone() for key, value in model().state_dict().items()}
    torch.manual_seed(1234)
    again = search(model(), data(512, 0), share=0.85, epochs=1, degrees=[2, 4], **OPTIONS)
    assert again == less_time()
    assert all(torch.equal(value, before[key]) for key, value in model().state_dict().items())


def test_the_tables_have_every_activation_and_network() -> None:
    text = repr(less_time())
    assert "loss at 4" in text and "ReLU()" in text and "SiLU()" in text
    assert "all 4" in text and "chosen" in text and "%" in text
    assert less_time()._repr_html_().startswith("<pre style=")


def test_points_allow_the_lowest_degrees_that_keep_them() -> None:
    everything = search(model(), data(512, 0), points=99, epochs=1, degrees=(4, 2), **OPTIONS)
    assert set(everything.degrees.values()) == {2}
    assert everything.accuracy is not None and everything.accuracy > 0.9
    nothing = search(model(), data(512, 0), points=0, epochs=1, degrees=(4, 2), **OPTIONS)
    kept = nothing.chosen.accuracy
    assert kept is not None and nothing.accuracy is not None
    assert kept >= nothing.accuracy or "more epochs" in nothing.note


class Line:
    """Costs in which each activation takes seconds of its own for each degree."""

    def __init__(self, seconds: Mapping[str, Mapping[int | None, float]]) -> None:
        self.seconds = seconds
        self.looks = 0

    def __call__(self, degrees: Mapping[str, int | None]) -> Cost:
        self.looks += 1
        return Cost(sum(self.seconds[path][degree] for path, degree in degrees.items()), 1)


def path_of(costs: Line, losses: Mapping[tuple[str, int | None], float]) -> Path:
    return Path({path: tuple(own) for path, own in costs.seconds.items()}, losses, costs)  # type: ignore[arg-type]


def test_degrees_fall_in_the_order_of_time_won_for_loss() -> None:
    # Seconds for loss: a to 4 2 / 0.1 = 20, a to 2 from there 1 / 0.9, b to 4 1 / 0.1 = 10, b to 2 from there 3 / 0.2.
    # b to 2 at once: 4 / 0.3 = 13.3, which is before b to 4.
    costs = Line({"a": {8: 5.0, 4: 3.0, 2: 2.0}, "b": {8: 5.0, 4: 4.0, 2: 1.0}})
    losses: dict[tuple[str, int | None], float]
    losses = {("a", 8): 0.0, ("a", 4): 0.1, ("a", 2): 1.0, ("b", 8): 0.0, ("b", 4): 0.1, ("b", 2): 0.3}
    path = path_of(costs, losses)
    while path.advance():
        pass
    taken = [(step.activation, step.degrees[step.activation]) for step in path.steps[1:]]
    assert taken == [("a", 4), ("b", 2), ("a", 2)]
    assert [step.cost.seconds for step in path.steps] == [10, 8, 4, 3]
    assert path.last.loss == pytest.approx(1.3)


def test_degrees_rise_again_where_there_is_time() -> None:
    costs = Line({"a": {8: 5.0, 2: 4.0}, "b": {8: 9.0, 2: 1.0}})
    path = path_of(costs, {("a", 8): 0.0, ("a", 2): 0.1, ("b", 8): 0.0, ("b", 2): 2.0})
    while path.last.cost.seconds > 7 and path.advance():
        pass
    assert dict(path.last.degrees) == {"a": 2, "b": 2}
    assert dict(path.raised(path.last, 7.0).degrees) == {"a": 8, "b": 2}


def test_networks_that_do_not_fit_lead_on_to_those_that_do() -> None:
    costs = Line({"a": {8: math.inf, 2: 1.0}, "b": {8: 2.0, 2: 1.0}})
    path = path_of(costs, {("a", 8): 0.0, ("a", 2): 1.0, ("b", 8): 0.0, ("b", 2): 1.0})
    while path.last.cost.seconds > 3 and path.advance():
        pass
    assert path.last.cost.seconds <= 3


def test_polynomials_that_settle_keep_values_in_their_ranges() -> None:
    x, _ = data(64, 3)
    prepared = prepare(model(), x).train()
    prepared(x)
    settled = assigned(prepared, {"1": 2, "3": 4}).eval()
    settle(settled, Batch((x,), None))
    with torch.no_grad():
        settled(x)
    acts = {name: part for name, part in settled.named_modules() if isinstance(part, PolyAct)}
    assert [(act.degree, act.stage, act.outside()) for act in acts.values()] == [
        (2, "polynomial", 0.0),
        (4, "polynomial", 0.0),
    ]
    kept = assigned(prepared, {"1": None, "3": 2}).eval()
    hidden = kept.get_submodule("0")(x)
    assert torch.equal(kept.get_submodule("1")(hidden), torch.relu(hidden))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give one budget"),
        ({"seconds": 1.0, "points": 1.0}, "give one budget"),
        ({"share": 50}, "share must be above 0 and at most 1, got 50"),
        ({"seconds": -1}, "positive"),
        ({"points": -1}, "points must be"),
        ({"seconds": "1 s"}, "must be a number, got '1 s'"),
        ({"points": 1, "batch_size": 0}, "batch_size must be"),
        ({"points": 1, "epochs": 0}, "epochs must be"),
        ({"points": 1, "degrees": (4,)}, "two or more of 8, 4, 2 and None"),
        ({"points": 1, "degrees": "84"}, "two or more"),
        ({"points": 1, "degrees": (None, 4), "target": "relu"}, "give one of the two"),
        ({"seconds": 1e-9, "epochs": 1, "degrees": (4, 2)}, "is not kept"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        search(model(), data(512, 0), **arguments, **OPTIONS)


def test_points_need_classes_and_a_model_needs_activations() -> None:
    x, y = data(64, 0)
    for loader in (x, [(x, y)], (x, y.float())):
        with pytest.raises(InputError, match="points are counted on held-out data"):
            search(model(), loader, points=1, progress=False)
    with pytest.raises(InputError, match="no activation"):
        search(nn.Sequential(nn.Linear(6, 2)), (x, y), share=0.5, progress=False)
    converted = fine_tune(model(), (x, y), epochs=1, progress=False).model
    with pytest.raises(InputError, match="converted already"):
        search(converted, (x, y), share=0.5, progress=False)
