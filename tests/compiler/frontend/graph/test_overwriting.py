"""Operations that overwrite their input, and graphs that torch made functional because of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from hetorch.compiler.frontend.capture import capture
from tests.compiler.frontend.test_capture import MODULES, Lambda, check


class BehindAWrite(nn.Module):
    """A module behind a write into a part of a tensor, for which torch makes the whole graph functional."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[:, :1] *= 2.0
        result: torch.Tensor = self.inner(x)
        return result


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_in_a_functional_graph(name: str) -> None:
    torch.manual_seed(0)
    make, shape = MODULES[name]
    check(BehindAWrite(make()), *shape)


class Residual(nn.Module):
    """torchvision's BasicBlock in short: the sum and the activation overwrite the result of the normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.relu, self.fc = nn.ReLU(inplace=True), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn(self.conv(x))
        out += x
        result: torch.Tensor = self.fc(self.relu(out).mean((2, 3)))
        return result


def test_sums_and_activations_that_overwrite_a_normalisation() -> None:
    check(Residual(), 3, 6, 6)
    inverted = nn.Sequential(
        nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.ReLU6(inplace=True), nn.Conv2d(4, 4, 3, groups=4),
        nn.BatchNorm2d(4), nn.Hardswish(inplace=True), nn.SiLU(inplace=True), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip
    check(inverted, 2, 4, 4)


def test_an_overwritten_tensor_that_has_a_view() -> None:
    def function(x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        y = x * 2.0
        early = y.view(-1, 2, 2)
        y += x
        late = y.view(-1, 4)
        y.sigmoid_()
        return early.flatten(1) + late * y

    check(Lambda(function), 4)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", ["adaptive", "conv", "norm1d", "layer_norm", "group_norm"])
def test_a_program_of_core_operations(name: str) -> None:
    more: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
        "layer_norm": (lambda: nn.LayerNorm(3), (2, 3)),
        "group_norm": (lambda: nn.GroupNorm(2, 4), (4, 3, 3)),
    }
    make, shape = (MODULES | more)[name]
    x = torch.randn(3, *shape)
    exported = torch.export.export(make().eval(), (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    # capture compares what it made with the model.
    capture(exported.run_decompositions(), x)
