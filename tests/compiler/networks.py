"""Small networks for the compiler's tests, and how to make programs and plans of them once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from hetorch.compiler.activations.approximate_activations import approximate_activations
from hetorch.compiler.activations.compare_outputs import output_range
from hetorch.compiler.api import compile
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.passes.fuse_affine import fuse_affine
from hetorch.compiler.pipeline import FINEST
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.search import search
from hetorch.compiler.search.variants import program_variants
from hetorch.plan import Plan


class Square(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


class Residual(nn.Module):
    """Two branches, grouped convolution, batch norm, a square added to what it is a square of."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.third = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Linear(64, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.silu(self.first(x))
        z = F.silu(self.norm(self.second(y))) + y
        z = self.third(z) ** 2 + z
        result: torch.Tensor = self.last(F.adaptive_avg_pool2d(z, 4).flatten(1)).softmax(-1)
        return result


class Gate(nn.Module):
    """A product of two branches, joined to a third one."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(14, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.c(torch.cat([self.a(x) * torch.sigmoid(self.b(x)), x], dim=1))
        return result


class OneImage(nn.Module):
    """An image in, an image out, and no affine operation at the ends."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x.square(), 2).square()


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, stride=2, padding=1),
        nn.BatchNorm2d(4),
        Square(),
        nn.Conv2d(4, 6, 3, stride=2, padding=(0, 2)),
        Square(),
        nn.Flatten(),
        nn.Linear(6 * 5 * 7, 10),
    )


def _pooled() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.AvgPool2d(3, stride=2, padding=1),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(3 * 5 * 6, 4),
    )


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(10, 3), (10,)),
    "mlp": (
        lambda: nn.Sequential(nn.Linear(50, 24), Square(), nn.Linear(24, 16), Square(), nn.Linear(16, 5)),
        (50,),
    ),
    "wide": (
        lambda: nn.Sequential(nn.Linear(5, 40), nn.GELU(), nn.Linear(40, 30), nn.Tanh(), nn.Linear(30, 1)),
        (5,),
    ),
    "cnn": (_cnn, (1, 24, 25)),
    "pooled": (_pooled, (2, 10, 12)),
    "residual": (Residual, (2, 9, 9)),
    "gate": (Gate, (6,)),
    "ends": (lambda: nn.Sequential(nn.Sigmoid(), nn.Linear(12, 4), nn.Softplus()), (12,)),
    "image": (OneImage, (2, 6, 6)),
}


@functools.cache
def model(name: str) -> nn.Module:
    torch.manual_seed(3)
    return NETWORKS[name][0]().eval()


@functools.cache
def inputs(name: str) -> NDArray[np.float64]:
    """96 samples, the first 64 of which calibrate."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(96, *NETWORKS[name][1], generator=generator).numpy().astype(np.float64)


@functools.cache
def plan(name: str) -> Plan:
    """Compile with polynomials of low degree, whatever their error: most tests are not about them."""
    return compile(model(name), inputs(name)[:64], activation_degree=3)


def request_of(module: nn.Module, x: object, **options: Any) -> Request:
    """What the pipeline asks of the search for a network."""
    chosen, captured = CompileOptions(**options), capture(module, x)
    approximated = approximate_activations(
        fuse_affine(captured.program), captured.inputs, captured.outputs, chosen
    )
    return Request(
        program_variants(approximated.program, captured.inputs),
        output_range(captured.outputs),
        chosen.precision or FINEST,
        chosen,
    )


@functools.cache
def request(name: str, **options: Any) -> Request:
    return request_of(model(name), inputs(name)[:64], activation_degree=3, **options)


@functools.cache
def choice(name: str, **options: Any) -> Choice:
    return search(request(name, **options))
