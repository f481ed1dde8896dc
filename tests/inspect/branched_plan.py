"""A small network with branches, a product, a sum and two activations, and its plan."""

from __future__ import annotations

import functools

import torch
from torch import nn

import hetorch


class Branched(nn.Module):
    """One map that is read late, a tanh that is read twice, a square, and their sum."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three, self.out = (
            nn.Linear(8, 8),
            nn.Linear(8, 8),
            nn.Linear(8, 8),
            nn.Linear(24, 3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.one(x), torch.tanh(self.two(x))
        result: torch.Tensor = self.out(torch.cat([first * first, second, self.three(first) * second], 1))
        return result


@functools.cache
def model() -> Branched:
    torch.manual_seed(0)
    return Branched().eval()


@functools.cache
def inputs() -> torch.Tensor:
    return torch.randn(120, 8, generator=torch.Generator().manual_seed(1))


@functools.cache
def plan() -> hetorch.Plan:
    return hetorch.compile(model(), inputs(), progress=False)
