from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import hetorch, refusal

MODEL = """
import torch

class Sorted(torch.nn.Module):
    def forward(self, x):
        return x.sort(1).values

def good():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(MODEL)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(50, 4)))
    return tmp_path


def test_a_model_that_works(folder: Path) -> None:
    result = hetorch("analyze", f"{folder}/net.py:good", "--calibration", folder / "x.npy", "--json")
    told = json.loads(result.stdout)
    assert told["supported"] and [row["status"] for row in told["rows"]] == ["exact", "approximate"]
    assert told["rows"][1]["low"] < told["rows"][1]["high"] and told["rows"][1]["degree"] >= 2


def test_a_model_that_does_not_work_ends_with_1(folder: Path) -> None:
    result = hetorch("analyze", f"{folder}/net.py:Sorted", "--calibration", folder / "x.npy", code=1)
    assert "cannot be compiled" in result.stdout and "sort" in result.stdout and "net.py:6" in result.stdout
    assert result.stderr == ""


def test_no_such_file(folder: Path) -> None:
    assert "there is no file" in refusal("analyze", "none.onnx", "--calibration", folder / "x.npy")
