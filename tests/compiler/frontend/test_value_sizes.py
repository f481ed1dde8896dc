"""Numbers of very different size: computed, or refused with the column to scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch.compiler.frontend.value_sizes import LARGEST_EXPONENT, UNEVEN, uneven_inputs, uneven_outputs
from hetorch.errors import ApproximationWarning, HetorchError, InfeasibleError, InputError

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Square(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


def model(kind: str, scale: float = 1.0) -> nn.Module:
    torch.manual_seed(0)
    between = {"linear": nn.Identity, "square": Square, "tanh": nn.Tanh}[kind]()
    network = nn.Sequential(nn.Linear(4, 4), between, nn.Linear(4, 3)).double()
    with torch.no_grad():
        for parameter in network[2].parameters():
            parameter[0] *= scale
    return network


def column(exponent: float) -> torch.Tensor:
    x = X.clone()
    x[:, 2] *= 2.0**exponent
    return x


@pytest.mark.parametrize("scale", [-150.0, 0.0, 150.0])
@pytest.mark.parametrize("exponent", [-1000, -150, -20, 20, 60, 95, 150, 195, 205, 500, 1000])
@pytest.mark.parametrize("kind", ["linear", "square"])
def test_every_size_is_computed_or_refused_in_words(kind: str, exponent: int, scale: float) -> None:
    try:
        plan = hetorch.compile(model(kind, 2.0**scale), column(exponent))
    except HetorchError as error:
        assert "scale it" in str(error) or "check its weights" in str(error), error
        assert " inf " not in str(error) and "nan" not in str(error)
    else:
        assert math.isfinite(plan.report.predicted_error) and abs(exponent) <= 1000


@pytest.mark.parametrize("kind", ["linear", "square", "tanh"])
def test_what_is_too_large_is_named(kind: str) -> None:
    with pytest.raises(InputError, match=r"calibration inputs reach \S+ in column 2; .* scale it"):
        hetorch.compile(model(kind), column(LARGEST_EXPONENT + 5))
    with pytest.raises(InputError, match=r"on the calibration inputs \S+ returns up to \S+ in column 0;"):
        hetorch.compile(model(kind, 2.0 ** (LARGEST_EXPONENT + 5)), X)


def test_a_column_that_drowns_the_others_is_told() -> None:
    sentence = r"input column 2 is up to \S+ times larger than most others"
    with pytest.warns(ApproximationWarning, match=sentence):
        hetorch.compile(model("tanh"), column(20))
    with pytest.raises(InfeasibleError, match=sentence):
        hetorch.compile(model("tanh"), column(20), strict=True)
    analysis = hetorch.analyze(model("tanh"), column(20), strict=True)
    assert "input column 2 is up to" in analysis.problem
    notes = hetorch.compile(model("linear"), column(20)).report.notes
    assert any("input column 2 is up to" in note for note in notes)


def test_an_output_that_is_lost_is_told() -> None:
    notes = hetorch.compile(model("tanh", 1e-6), X).report.notes
    assert any("output column 0 is up to" in note and "smaller than the largest" in note for note in notes)


def test_sentences() -> None:
    even = np.ones((3, 2, 2))
    assert uneven_inputs(even) == uneven_outputs(even) == ""
    assert uneven_inputs(np.zeros((3, 4))) == uneven_outputs(np.zeros((3, 4))) == ""
    uneven = even.copy()
    uneven[1, 0, 1] = -2 * UNEVEN
    assert uneven_inputs(uneven).startswith("input column (0, 1) is up to 2e+04 times larger")
    assert uneven_outputs(uneven).startswith(
        "output columns (0, 0), (1, 0), (1, 1) are up to 2e+04 times smaller"
    )
    many = np.ones((3, 20))
    many[:, 0] = 2 * UNEVEN
    assert uneven_outputs(many).startswith("output columns 1, 2, 3, 4, 5 and 14 more are")
