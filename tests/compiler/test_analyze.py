# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch import simulate
from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.analyze import EITHER
from hetorch.compiler.api import compile
from hetorch.compiler.bootstraps.more_levels import nearest_networks
from hetorch.errors import InputError, PlanError, UnsupportedModelError


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.act = nn.SiLU()
        self.last = nn.Linear(32, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.act(self.conv(x)).flatten(1)
        return self.last(y).softmax(1)


class Sorted(Network):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.round()).sort(1).values


class Branching(Network):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if x.sum() > 0 else -x)


class Product(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.flip(1) * 0.5 + 0.25


def products(count: int) -> nn.Module:
    """Make a network of two levels a product."""
    return nn.Sequential(*(Product() for _ in range(count)))


def line(marker: str) -> int:
    """The line of this file in which `marker` stands first."""
    with open(__file__, encoding="utf-8") as file:
        return next(number for number, text in enumerate(file, 1) if marker in text)


def test_too_many_levels_are_told_before_compiling() -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 4).clamp(-1, 1)
    found = hetorch.analyze(products(90), x)
    assert found.supported and any("bootstraps, each of" in note for note in found.notes)
    alone = hetorch.analyze(products(90), x, bootstrap="never")
    assert "levels (multiplications one after the other)" in alone.problem
    assert 'bootstrap="never"' in alone.problem and not any("bootstraps" in note for note in alone.notes)
    with pytest.raises(PlanError, match="no parameters fit"):
        compile(products(90), x, bootstrap="never")
    shallow = hetorch.analyze(products(3), x)
    levels = compile(products(3), x).parameters.max_level
    assert shallow.supported and f"{levels} levels: multiplications one after the other" in shallow.notes


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, True),
        ({"bootstrap": "never"}, False),
        ({"security": "192"}, False),
        ({"objective": "throughput"}, False),
    ],
)
def test_bootstraps_beside_one_ring_are_told_where_they_may_be_chosen(
    options: dict[str, Any], told: bool
) -> None:
    torch.manual_seed(0)
    found = hetorch.analyze(products(11), torch.randn(40, 4).clamp(-1, 1), **options)
    assert found.supported
    assert (EITHER in found.notes) is told


def test_bootstraps_are_not_told_of_what_takes_one_or_cannot_be_compiled() -> None:
    torch.manual_seed(0)
    assert EITHER not in hetorch.analyze(products(7), torch.randn(40, 4).clamp(-1, 1)).notes
    maps = [nn.Linear(3, 3) for _ in range(4)]
    with torch.no_grad():
        for linear in maps:
            linear.weight *= 10.0  # So steep that no polynomial follows it this closely.
    model = nn.Sequential(*(layer for linear in maps for layer in (linear, nn.Hardtanh())))
    wish: dict[str, Any] = {"activation_tolerance": 1e-3, "activation_agreement": 0.0}
    nearest = hetorch.analyze(model, torch.randn(100, 3), **wish)
    assert nearest.supported and EITHER in nearest.notes
    refused = hetorch.analyze(model, torch.randn(100, 3), **wish, strict=True)
    assert refused.problem and EITHER not in refused.notes


def test_the_bootstraps_of_a_network_that_is_nearer_with_them_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One ring has levels for this network too, and compiling takes bootstraps whatever the ring would take."""

    def with_a_second(*arguments: Any) -> tuple[Approximated, ...]:
        (network,) = nearest_networks(*arguments)
        return replace(network, without_bootstraps="without bootstraps it is farther"), network

    monkeypatch.setattr("hetorch.compiler.analyze.nearest_networks", with_a_second)
    torch.manual_seed(0)
    found = hetorch.analyze(products(9), torch.randn(40, 4).clamp(-1, 1))
    assert found.supported and any("leaving" in note and "bootstrap" in note for note in found.notes)
    assert EITHER not in found.notes


def test_wrong_arguments_are_refused() -> None:
    for wrong in ({"activation_degree": 0}, {"activation_tolerance": "a"}, {"activation_precision": 2.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            hetorch.analyze(nn.Linear(4, 2), torch.randn(9, 4), **wrong)


def test_what_works_is_told_with_range_degree_and_error() -> None:
    torch.manual_seed(0)
    model, x = Network(), torch.randn(60, 1, 6, 6)
    found = hetorch.analyze(model, x)
    assert found.supported and found.error is not None and found.error < 0.05
    assert [row.operation for row in found["exact"]] == ["conv2d", "flatten", "linear"]
    (silu,) = found["approximate"]
    inside = model.conv(x).detach().numpy()
    assert silu.low is not None and silu.high is not None and silu.degree is not None
    assert silu.low <= inside.min() and silu.high >= inside.max() and silu.degree >= 2
    assert silu.name == "act" and silu.where.endswith(f"test_analyze.py:{line('self.act(self.conv')}")
    (softmax,) = found["client"]
    assert softmax.operation == "softmax"
    text = str(found)
    assert "can be compiled, by approximation" in text and "half ranges" in text and "silu" in text
    assert json.loads(json.dumps(found.to_dict()))["supported"] is True
    assert "<table>" in found._repr_html_()


def test_the_error_of_a_fit_is_what_is_measured() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), torch.randn(300, 4)
    found = hetorch.analyze(model, x, activation_degree=7)
    (tanh,) = found["approximate"]
    plan = compile(model, x, activation_degree=7)
    worst = np.max(np.abs(simulate(plan, x.numpy()[:20]) - model(x[:20]).detach().numpy()))
    assert tanh.error is not None and worst <= tanh.error + 1e-3 and tanh.degree == 7


def test_all_that_does_not_work_is_told_at_once_with_its_line() -> None:
    found = hetorch.analyze(Sorted(), torch.randn(9, 1, 6, 6))
    assert not found.supported and "round" in found.problem
    wrong = found["unsupported"]
    assert [row.operation for row in wrong] == ["round", "sort"]
    assert all(row.where.endswith(f":{line('x.round()')}") and row.nearest for row in wrong)
    assert "cannot be compiled as it is" in str(found) and "unsupported" in found._repr_html_()
    with pytest.raises(UnsupportedModelError, match="1 more") as caught:
        compile(Sorted(), torch.randn(9, 1, 6, 6))
    assert caught.value.analysis.rows == found.rows


def test_branching_is_told_with_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    found = hetorch.analyze(Branching(), torch.randn(9, 1, 6, 6))
    assert not found.supported and "must not branch" in found.problem
    assert f"test_analyze.py:{line('x if x.sum()')}" in found.problem
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UnsupportedModelError) as caught:
        compile(Branching(), torch.randn(9, 1, 6, 6))
    assert caught.value.analysis.problem == found.problem


def test_leaving_torch_is_told_in_our_words() -> None:
    class Leaving(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.from_numpy(x.numpy())

    found = hetorch.analyze(Leaving(), torch.randn(9, 3))
    ours, _, theirs = found.problem.partition("torch.export says")
    assert ".numpy(), .item()" in ours and "must not branch" in ours and theirs
    assert "─" not in str(found) and "┃" not in str(found)  # no table without a row
    assert "cannot be compiled" in str(found) and "<table" not in found._repr_html_()


def test_an_operation_is_named_once() -> None:
    class Ordered(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sort(x, dim=1).values

    with pytest.raises(UnsupportedModelError, match=r"^sort at \S+test_analyze\.py:\d+: ") as caught:
        compile(Ordered(), torch.randn(9, 3))
    assert str(caught.value).count("sort") == 1 and str(caught.value).count("encrypted data") == 1


def test_a_last_argmax_is_left_to_the_client() -> None:
    class Chosen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x).argmax(dim=1)

    found = hetorch.analyze(Chosen(), torch.randn(40, 3))
    assert [row.operation for row in found["client"]] == ["argmax"]
    assert "argmax at the end" in str(found) and "left to the client" in str(found)


def test_samples_that_influence_each_other_are_found() -> None:
    class Whitened(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.mean(0)

    class Flipped(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + x.flip(0)

    assert "samples" in hetorch.analyze(Whitened(), torch.randn(9, 3)).problem
    assert "batch" in hetorch.analyze(Flipped(), torch.randn(9, 3)).problem


def test_inputs_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(InputError, match="does not accept"):
        hetorch.analyze(nn.Linear(3, 2), torch.randn(4, 5))


def test_a_degree_out_of_reach_is_told() -> None:
    torch.manual_seed(0)
    steep = nn.Sequential(nn.Linear(3, 3), nn.Hardtanh(-1e-3, 1e-3), nn.Linear(3, 2))
    x = torch.randn(200, 3)
    refused = hetorch.analyze(steep, x, activation_tolerance=1e-3, strict=True)
    assert not refused.supported and re.search("degree (95|127)", refused.problem)
    found = hetorch.analyze(steep, x, activation_tolerance=1e-3)
    assert found.supported and any(re.search("degree (95|127)", note) for note in found.notes)
    (row,) = found["approximate"]
    assert row.degree in (95, 127) and row.low is not None and found.error is not None and found.error > 1e-3


@hetorch.elementwise
class Steps(nn.Module):
    """Not smooth inside: a look-up."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0.5, x * 2 - 0.5, x)


def test_marked_modules_and_tables() -> None:
    torch.manual_seed(0)
    points = np.linspace(-4, 4, 81)
    table = hetorch.Table(points, np.sin(points))
    x = torch.randn(400, 3)
    torch.testing.assert_close(table(x), torch.from_numpy(np.interp(x, points, np.sin(points))).float())
    for module in (Steps(), table):
        model = nn.Sequential(nn.Linear(3, 3), module, nn.Linear(3, 2), module)
        found = hetorch.analyze(model, x, activation_degree=15)
        assert found.supported and len(found["approximate"]) == 2
        plan = compile(model, x, activation_degree=15)
        result = simulate(plan, x.numpy()[:30])
        assert np.max(np.abs(result - model(x[:30]).detach().numpy())) < 0.1 * plan.report.output_range


@pytest.mark.parametrize("points", [([0], [1]), ([0, 0], [1, 2]), ([0, 1], [1]), ([0, 1], [1, np.nan])])
def test_wrong_tables_are_refused(points: tuple[list[float], list[float]]) -> None:
    with pytest.raises(InputError):
        hetorch.Table(*points)


def test_marks_on_what_is_no_module_are_refused() -> None:
    with pytest.raises(InputError, match=r"nn\.Module"):
        hetorch.elementwise(3)
    with pytest.raises(InputError, match=r"nn\.Module"):
        hetorch.approximate(3, degree=2)  # type: ignore[arg-type]
    for wrong in ({"degree": 0}, {"precision": 2.0}, {"degree": 3, "precision": 0.1}):
        with pytest.raises(InputError):
            hetorch.approximate(nn.ReLU(), **wrong)


def test_wishes_for_single_modules() -> None:
    torch.manual_seed(0)
    first = hetorch.approximate(nn.ReLU(), precision=2.0**-6)
    model = nn.Sequential(nn.Linear(3, 4), first, nn.Linear(4, 4), hetorch.approximate(nn.Tanh(), degree=5))
    found = hetorch.analyze(model, torch.randn(200, 3), activation_tolerance=0.5, activation_agreement=0.0)
    relu, tanh = found["approximate"]
    assert tanh.degree == 5
    assert relu.error is not None and relu.low is not None and relu.high is not None
    assert relu.error <= 2.0**-6 * max(-relu.low, relu.high)


def test_an_exact_model_has_no_sentence_on_polynomials() -> None:
    result = hetorch.analyze(nn.Linear(3, 2), torch.rand(8, 3))
    assert result.supported and "polynomials instead" not in str(result)
    assert "polynomials instead" in str(
        hetorch.analyze(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.rand(8, 3))
    )
