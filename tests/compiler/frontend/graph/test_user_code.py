"""Places in the user's code, as an analysis and the errors name them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import hetorch
from hetorch.errors import UnsupportedModelError

CELL = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh())
    def forward(self, x):
        x = 2 * self.body(x)
        return x.sort(1).values
"""
X = torch.randn(9, 3)


class Shifted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def places(model: nn.Module) -> list[str]:
    return [row.where for row in hetorch.analyze(model, X).rows]


def test_modules_of_a_sequential_have_a_place_of_their_own() -> None:
    first, second, own = places(nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Tanh(), Shifted())))
    assert (first, second) == ("0 (Linear)", "1.0 (Tanh)")
    assert own.endswith(f"test_user_code.py:{Shifted.forward.__code__.co_firstlineno + 1}")


@pytest.mark.parametrize("file", ["/tmp/ipykernel_12/3456.py", "<ipython-input-3-0a1b2c3d>"])
def test_cells_of_a_notebook(file: str) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(CELL, file, "exec"), names)
    assert places(names["Net"]()) == [
        "body.0 (Linear), called at line 8 of a cell",
        "body.1 (Tanh), called at line 8 of a cell",
        "line 8 of a cell",
        "line 9 of a cell",
    ]
    with pytest.raises(UnsupportedModelError, match="sort at line 9 of a cell"):
        hetorch.compile(names["Net"](), X)
