from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import hetorch
from hetorch.compiler.frontend.capture import capture
from hetorch.errors import CalibrationWarning


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).eval()


def doubts(model: nn.Module, x: object) -> str:
    return " ".join(capture(model, x).doubts)


def test_the_warning_names_the_line_of_the_call() -> None:
    with pytest.warns(CalibrationWarning, match=r"2 calibration samples of shape \(4,\)") as caught:
        hetorch.compile(mlp(), torch.rand(2, 4))
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", CalibrationWarning)
        hetorch.compile(nn.Linear(4, 2).eval(), torch.rand(2, 4))  # nothing rests on ranges


def test_few_and_constant_inputs() -> None:
    assert "a hundred typical samples" in doubts(mlp(), torch.rand(7, 4))
    assert doubts(mlp(), torch.rand(8, 4)) == ""
    assert "are 3, so ranges" in doubts(mlp(), torch.full((50, 4), 3.0))


def test_a_sample_that_passes_for_a_batch() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    found = doubts(model, torch.rand(1, 8, 8))
    assert "samples of shape (8, 8); the model also takes samples of shape (1, 8, 8)" in found
    assert doubts(model, torch.rand(2, 8, 8)) == ""  # (1, 2, 8, 8) does not fit
    convolution = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2))
    assert doubts(convolution, torch.rand(1, 1, 8, 8)) == ""


def test_a_list_of_batches() -> None:
    x = torch.rand(50, 4)
    assert "as batches of samples of shape (4,)" in doubts(mlp(), [x, x + 0.1])
    assert "batches" not in doubts(mlp(), list(x))
    assert "batches" not in doubts(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), list(torch.rand(20, 4, 4)))
