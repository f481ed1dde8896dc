"""Networks whose sums and activations overwrite their operands, as torchvision's do."""

from __future__ import annotations

import torch
from torch import nn

from tests.compiler.frontend.test_capture import Lambda, check


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
