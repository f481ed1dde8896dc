"""Small random networks, each from a seed: layers, sizes, faults of training, inputs and options of compile are drawn.

The faults are those that training leaves or users bring: dead and saturated units, a bias that makes an event rare, a
channel without weights, inputs that are not scaled, inputs that never change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

CALIBRATION, FRESH = 96, 8
"""Number of inputs that compiling sees, and of others from the same distribution."""


class Square(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


class Residual(nn.Module):
    """The input added to what a block makes of it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.block(x)
        return result


ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU,
    nn.ReLU,
    nn.ReLU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Tanh,
    Square,
    nn.GELU,
    lambda: nn.LeakyReLU(0.1),
)


@dataclass(frozen=True)
class RandomNetwork:
    """A network with the inputs and options with which it is compiled; `text` tells what was drawn."""

    model: nn.Module
    calibration: torch.Tensor
    fresh: torch.Tensor
    options: dict[str, Any]
    text: str


class _Draw:
    """The layers of one network while they are drawn."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.axes = int(self.random.choice([0, 1, 2], p=[0.3, 0.25, 0.45]))
        self.layers: list[nn.Module] = []
        self.words: list[str] = []
        self.left = int(self.random.integers(1, 4))  # activations and maximum pools after the first, at most

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def shape(self) -> tuple[int, ...]:
        """Draw the shape of an input: (features,) or (channels, *sizes)."""
        if self.axes == 0:
            return (int(self.random.integers(4, 24)),)
        size = (8, 24) if self.axes == 1 else (6, 11)
        return (
            int(self.random.integers(1, 4)),
            *(int(n) for n in self.random.integers(*size, size=self.axes)),
        )

    def affine(self, channels: int, out: int, size: int = 0) -> nn.Module:
        """Draw a linear layer or a convolution: one for axes of at least `size`, or for 0 one that keeps the size."""
        same = size == 0
        if self.axes == 0:
            layer: nn.Linear | nn.Conv1d | nn.Conv2d = nn.Linear(channels, out)
        else:
            kernel = 3 if same else int(self.random.integers(1, min(size, 3) + 1))
            stride = 1 if same else int(self.random.choice([1, 1, 2]))
            padding = 1 if same else int(self.random.integers(0, kernel // 2 + 1))
            groups = channels if channels == out and self.chance(0.15) else 1
            make = nn.Conv1d if self.axes == 1 else nn.Conv2d
            layer = make(channels, out, kernel, stride, padding, groups=groups, bias=self.chance(0.9))
        self.break_units(layer)
        return layer

    def break_units(self, layer: nn.Linear | nn.Conv1d | nn.Conv2d) -> None:
        """Give some of the units of a layer a fault."""
        with torch.no_grad():
            for unit in range(len(layer.weight)):
                if not self.chance(0.25):
                    continue
                fault = str(self.random.choice(["dead", "saturated", "tiny", "zero", "large"]))
                self.words.append(fault)
                weight = layer.weight[unit]
                tiny = float(self.random.choice([1e-8, 1e-4, 1e-2]))
                factor = {"tiny": tiny, "zero": 0.0, "large": 4.0}.get(fault, 1.0)
                weight.mul_(factor)
                if fault in ("dead", "saturated") and layer.bias is not None:
                    sign = -1.0 if fault == "dead" else 1.0
                    weight.copy_(sign * weight.abs())
                    layer.bias[unit] = sign * float(self.random.choice([0.1, 1.0, 5.0]))

    def norm(self, channels: int) -> nn.Module:
        make = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[self.axes]
        layer = make(channels)
        with torch.no_grad():
            layer.weight.copy_(torch.rand(channels) * 1.8 + 0.2)
            layer.bias.copy_(torch.randn(channels) * 0.5)
        return layer

    def activation(self) -> nn.Module:
        layer = ACTIVATIONS[int(self.random.integers(len(ACTIVATIONS)))]()
        self.words.append(type(layer).__name__)
        return layer

    def pool(self, size: int) -> nn.Module | None:
        """Draw a pool, or none; `size` is the least size of an axis."""
        if self.axes == 0 or size < 4 or not self.chance(0.5):
            return None
        if self.left > 0 and self.chance(0.6):
            self.left -= 1
            self.words.append("max pool")
            return (nn.MaxPool1d, nn.MaxPool2d)[self.axes - 1](2)
        return (nn.AvgPool1d, nn.AvgPool2d)[self.axes - 1](2)


def random_network(seed: int) -> RandomNetwork:
    """Return the network of a seed."""
    draw = _Draw(seed)
    shape = draw.shape()
    x = _inputs(draw, shape)
    channels, size = shape[0], min(shape[1:], default=0)
    while True:
        out = int(draw.random.integers(2, 9))
        block: list[nn.Module] = [draw.affine(channels, out, size)]
        if draw.chance(0.5):
            block.append(draw.norm(out))
        block.append(draw.activation())
        draw.layers += block
        y = _features(draw.layers, x[:2])
        channels, size = out, min(y.shape[2:], default=0)
        pool = draw.pool(size)
        if pool is not None:
            draw.layers.append(pool)
            size //= 2
        if draw.left > 0 and draw.chance(0.25):
            draw.left -= 1
            draw.layers.append(Residual(nn.Sequential(draw.affine(channels, channels), draw.activation())))
            draw.words.append("residual")
        draw.left -= 1
        if draw.left < 0 or draw.chance(0.3):
            break
    model = nn.Sequential(*draw.layers, *_head(draw, _features(draw.layers, x[:2]).flatten(1).shape[1]))
    _settle(draw, model, x)
    return RandomNetwork(
        model.eval(), x[:CALIBRATION], x[CALIBRATION:], _options(draw), ", ".join(draw.words)
    )


def _features(layers: list[nn.Module], x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = nn.Sequential(*layers)(x)
    return result


def _inputs(draw: _Draw, shape: tuple[int, ...]) -> torch.Tensor:
    kind = str(draw.random.choice(["normal", "uniform", "bytes", "counts", "tabular"]))
    draw.words.append(f"{kind} {shape}")
    x = torch.randn(CALIBRATION + FRESH, *shape)
    if kind == "uniform":
        x = torch.rand_like(x)
    elif kind == "bytes":
        x = (torch.rand_like(x) * 256).floor()
    elif kind == "counts":
        x = (x.abs() * 3).floor()
    elif kind == "tabular":  # columns of different sizes
        x = x * torch.logspace(-1, 1, shape[-1]) + 1
    if draw.chance(0.3):  # an edge that never changes
        x[..., 0] = 0.0
    return x


class Percent(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 100 * x


def _head(draw: _Draw, features: int) -> list[nn.Module]:
    layer = nn.Linear(features, int(draw.random.integers(1, 6)))
    head: list[nn.Module] = [nn.Flatten(), layer]
    if draw.chance(0.25):
        draw.words.append("sigmoid in percent")  # without the factor it would be left to the client
        head += [nn.Sigmoid(), Percent()]
        if draw.chance(0.5):
            draw.words.append("rare event")
            with torch.no_grad():
                layer.bias.fill_(-float(draw.random.choice([3, 5, 8, 12])))
    return head


def _settle(draw: _Draw, model: nn.Module, x: torch.Tensor) -> None:
    """Let batch norms see the inputs, and train some of the networks for a while."""
    model.train()
    with torch.no_grad():
        for _ in range(30):
            model(x)
    if draw.chance(0.4):
        draw.words.append("trained")
        rate = 1e-2 / float(x.abs().max().clamp(min=1.0))
        optimiser = torch.optim.Adam(model.parameters(), lr=rate)
        target = torch.sigmoid(torch.randn(len(x), 1))
        for _ in range(30):
            optimiser.zero_grad()
            ((model(x) - target) ** 2).mean().backward()
            optimiser.step()


def _options(draw: _Draw) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if draw.chance(0.7):
        options |= {"activation_agreement": 0.5, "activation_tolerance": 0.1}
    approximation = str(draw.random.choice(["searched", "degree", "precision"], p=[0.5, 0.4, 0.1]))
    if approximation == "degree":
        options["activation_degree"] = int(draw.random.choice([2, 3, 4, 7, 15, 31]))
    elif approximation == "precision":
        options["activation_precision"] = 2.0**-5
    if draw.chance(0.1):
        options["activation_ranges"] = "interval"
    options["security"] = "128" if draw.chance(0.3) else "none"
    side = str(draw.random.choice(["none", "batch_size", "throughput"], p=[0.75, 0.15, 0.1]))
    if side == "batch_size":
        options["batch_size"] = int(draw.random.integers(2, 9))
    elif side == "throughput":
        options["objective"] = "throughput"
    elif draw.chance(0.1):
        options["weights"] = "encrypted"
    elif draw.chance(0.15):
        options["engine"] = "seal"
    draw.words.append(str(options))
    return options
