# mypy: disable-error-code="no-any-return"
"""Whole architectures, compiled and run: cleartext engine and encrypted, against torch and against the prediction.

A network's worst error has two parts: that of its polynomials, which compiling measures, and that of encryption, which
it bounds. Both must hold together on inputs that calibration did not see; the second alone within the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch.compiler import compile
from hetorch.local import run_cleartext, run_encrypted
from tests.zoo import networks as zoo

TARGET = 1e-2
"""Largest error of the whole, relative to the range of the outputs."""


@dataclass(frozen=True)
class Entry:
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    encrypted: bool = True
    options: dict[str, Any] = field(default_factory=dict)


def spline() -> nn.Module:
    """A layer of a Kolmogorov-Arnold network: tables on the inputs, then sums."""
    points = np.linspace(-5, 5, 41)
    tables = [hetorch.Table(points, np.sin(points)), hetorch.Table(points, np.exp(-(points**2) / 4))]

    class Spline(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tables, self.last = nn.ModuleList(tables), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.cat([table(x) for table in self.tables], 1))

    return Spline()


FINE = {"activation_tolerance": 0.004}
ZOO: dict[str, Entry] = {
    "mlp": Entry(zoo.mlp, (64,), options={"activation_degree": 31}),
    "deep_mlp": Entry(zoo.deep_mlp, (16,), encrypted=False, options=FINE),
    "logistic_regression": Entry(zoo.logistic_regression, (30,)),
    "lenet": Entry(zoo.lenet, (1, 20, 20), encrypted=False, options=FINE),
    "lola": Entry(zoo.lola, (1, 28, 28)),
    "cryptonets": Entry(zoo.cryptonets, (1, 28, 28)),
    "alexnet": Entry(zoo.alexnet, (3, 32, 32), encrypted=False, options={"activation_degree": 63}),
    "vgg": Entry(zoo.vgg, (3, 16, 16), options=FINE),
    "depthwise": Entry(zoo.depthwise, (3, 13, 13), options=FINE),
    "resnet": Entry(zoo.ResNet, (3, 8, 8), encrypted=False, options={"activation_degree": 31}),
    "densenet": Entry(zoo.DenseNet, (2, 8, 8), encrypted=False, options=FINE),
    "ecg": Entry(zoo.ecg, (1, 64), options={"activation_tolerance": 0.008}),
    "tcn": Entry(zoo.Tcn, (3, 16), encrypted=False, options=FINE),
    "autoencoder": Entry(zoo.autoencoder, (1, 12, 12), encrypted=False, options=FINE),
    "linear_autoencoder": Entry(zoo.linear_autoencoder, (40,)),
    "tabular": Entry(zoo.Tabular, (17,), options={"activation_tolerance": 0.006}),
    "mixer": Entry(zoo.Mixer, (1, 12, 12), options=FINE),
    "attention": Entry(zoo.Attention, (5, 8), options=FINE),
    "polynomial_attention": Entry(zoo.PolynomialAttention, (4, 6)),
    "unet": Entry(zoo.Unet, (1, 8, 8), options=FINE),
    "fire": Entry(zoo.Fire, (4, 6, 6), options=FINE),
    "inception": Entry(zoo.Inception, (3, 8, 8), options=FINE),
    "wavenet": Entry(zoo.WaveNet, (2, 12), options=FINE),
    "siamese": Entry(zoo.Siamese, (2, 8), options=FINE),
    "deep_sets": Entry(zoo.DeepSets, (5, 3), options=FINE),
    "polynomial_regression": Entry(zoo.PolynomialRegression, (4,)),
    "polynomial_kernel": Entry(zoo.PolynomialKernel, (4,)),
    "highway": Entry(zoo.Highway, (8,), options=FINE),
    "spline": Entry(spline, (4,), options=FINE),
    "glu": Entry(zoo.Glu, (8,), options=FINE),
    "squeeze_excite": Entry(zoo.SqueezeExcite, (2, 8, 8), options=FINE),
    "max_pooled": Entry(zoo.max_pooled, (1, 8, 8), encrypted=False, options={"activation_degree": 31}),
    "video": Entry(zoo.video, (1, 4, 6, 6), options=FINE),
    "gru": Entry(zoo.GruUnrolled, (3, 3), encrypted=False, options=FINE),
    "layer_norm": Entry(zoo.LayerNormed, (8,), options=FINE),
    "transformer": Entry(
        zoo.TransformerBlock, (3, 4), encrypted=False, options={"activation_degree": 31}
    ),
    "super_resolution": Entry(zoo.SuperResolution, (1, 8, 8), options=FINE),
    "factorisation": Entry(zoo.Bilinear, (10,)),
}  # fmt: skip
SHORT = ("logistic_regression", "polynomial_attention", "glu", "siamese", "polynomial_kernel")


def run(name: str, *, encrypted: bool) -> dict[str, float]:
    entry = ZOO[name]
    torch.manual_seed(5)
    model = entry.make()
    x = torch.randn(400, *entry.shape).clamp(-3, 3)
    if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
        model.train()(x)
    model.eval()
    plan = compile(model, x[:300], **{"activation_agreement": 0.0, **entry.options})
    fresh = x[300:304]
    layers = list(model.children())
    final = isinstance(model, nn.Sequential) and isinstance(layers[-1], nn.LogSoftmax)
    with torch.no_grad():
        truth = (model[:-1] if final else model)(fresh).numpy()  # type: ignore[index]
    exact = run_cleartext(plan, fresh.numpy(), noise=False)
    found = run_encrypted(plan, fresh[:2].numpy()) if encrypted else run_cleartext(plan, fresh.numpy())
    span = plan.report.output_range
    noise = float(np.max(np.abs(found - exact[: len(found)]))) / span
    error = float(np.max(np.abs(found - truth[: len(found)]))) / span
    assert noise <= plan.report.predicted_error
    assert error <= TARGET, (error, plan.report.approximation_error)
    return {"noise": noise, "error": error}


@pytest.mark.parametrize("name", SHORT)
def test_a_few_encrypted(name: str) -> None:
    run(name, encrypted=True)


@pytest.mark.zoo
@pytest.mark.parametrize("name", sorted(ZOO))
def test_cleartext(name: str) -> None:
    run(name, encrypted=False)


@pytest.mark.zoo
@pytest.mark.parametrize("name", sorted(name for name, entry in ZOO.items() if entry.encrypted))
def test_encrypted(name: str) -> None:
    run(name, encrypted=True)


def test_compiling_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """With degrees that are chosen, layers fitted together, and signs from linear programs."""
    x = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    for folder in ("a", "b"):
        torch.manual_seed(5)
        kinked = hetorch.approximate(nn.ReLU(), precision=2.0**-3)
        model = nn.Sequential(nn.Linear(8, 6), nn.SiLU(), nn.Linear(6, 4), kinked, nn.Linear(4, 2))
        compile(model, x, activation_tolerance=0.3).save(tmp_path / folder)
    for file in ("manifest.json", "weights.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
