# mypy: disable-error-code="no-any-return"
"""Whole architectures, compiled and run, simulated and encrypted, compared with torch and with the prediction.

A network's worst error has two parts: that of its polynomials, which compiling measures, and that of encryption, which
compiling bounds. On inputs that calibration did not see, their sum must stay below a target, and the second part alone
below its bound.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch import run_encrypted, simulate
from hetorch.compiler.api import compile
from tests.zoo import networks as zoo

TARGET = 1e-2
"""Largest accepted error of a network, relative to the range of the outputs."""

CALIBRATION, UNSEEN = 300, 100
"""Number of random inputs that compiling sees, and of others with the same distribution."""


@dataclass(frozen=True)
class Entry:
    """A network and the shape of its inputs.

    `encrypted` is True if a run, with its keys, takes less than a minute and 4 GB. `calibrated` and `unseen` are the
    largest accepted errors on the calibration inputs and on others; they are above TARGET where the levels that the
    largest ring has do not reach that.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    encrypted: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    calibrated: float = TARGET
    unseen: float = TARGET


def spline() -> nn.Module:
    """Make a layer of a Kolmogorov-Arnold network: tables on the inputs, then sums."""
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
    "mlp": Entry(zoo.mlp, (64,), options={"activation_degree": 63}),
    "deep_mlp": Entry(zoo.deep_mlp, (16,), options=FINE),
    "logistic_regression": Entry(zoo.logistic_regression, (30,)),
    "lenet": Entry(zoo.lenet, (1, 32, 32), options=FINE),
    "lola": Entry(zoo.lola, (1, 28, 28)),
    "cryptonets": Entry(zoo.cryptonets, (1, 28, 28)),
    "alexnet": Entry(
        zoo.alexnet, (3, 32, 32), calibrated=0.016, unseen=0.024, options={"activation_tolerance": 0.016}
    ),
    "vgg": Entry(zoo.vgg, (3, 32, 32), options=FINE),
    "depthwise": Entry(zoo.depthwise, (3, 13, 13), options=FINE),
    "resnet": Entry(zoo.ResNet, (3, 8, 8), options={"activation_degree": 31}),
    "densenet": Entry(zoo.DenseNet, (2, 8, 8), options=FINE),
    "ecg": Entry(zoo.ecg, (1, 64), options={"activation_tolerance": 0.008}),
    "tcn": Entry(zoo.Tcn, (3, 16), options=FINE),
    "autoencoder": Entry(zoo.autoencoder, (1, 12, 12), options=FINE),
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
    "max_pooled": Entry(zoo.max_pooled, (1, 8, 8), options={"activation_tolerance": 0.005}),
    "video": Entry(zoo.video, (1, 4, 6, 6), options=FINE),
    "gru": Entry(zoo.GruUnrolled, (3, 3), options=FINE),
    "layer_norm": Entry(zoo.LayerNormed, (8,), options=FINE),
    "transformer": Entry(zoo.TransformerBlock, (3, 16), options={"activation_tolerance": 0.005}),
    "super_resolution": Entry(zoo.SuperResolution, (1, 8, 8), options=FINE),
    "factorisation": Entry(zoo.Bilinear, (10,)),
}  # fmt: skip
SHORT = ("logistic_regression", "polynomial_attention", "glu", "siamese", "polynomial_kernel")


def run(name: str, *, encrypted: bool) -> dict[str, float]:
    entry = ZOO[name]
    torch.manual_seed(5)
    model = entry.make()
    x = torch.randn(CALIBRATION + UNSEEN, *entry.shape).clamp(-3, 3)
    if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
        model.train()(x)
    model.eval()
    plan = compile(model, x[:CALIBRATION], **{"activation_agreement": 0.0, **entry.options})
    fresh = x[CALIBRATION:]
    with torch.no_grad():
        truth = model(fresh).numpy()
    exact = simulate(plan, fresh.numpy(), noise=False)
    results = run_encrypted(plan, fresh[:2].numpy()) if encrypted else simulate(plan, fresh[:4].numpy())
    # The figures are those of the plan's outputs. A logarithm of a softmax, which the client computes, differs by at
    # most twice the largest difference of its scores, and a sigmoid by less than its argument.
    span = plan.report.output_range * (2 if plan.interface.functions else 1)
    noise = float(np.max(np.abs(results - exact[: len(results)]))) / span
    error = float(np.max(np.abs(results - truth[: len(results)]))) / span
    assert noise <= plan.report.predicted_error
    assert error <= entry.unseen, (error, plan.report.approximation_error)
    # A run without noise is cheap, so the polynomials are checked on many inputs.
    assert plan.report.approximation_error <= entry.calibrated
    assert np.max(np.abs(exact - truth)) <= entry.unseen * span
    return {"noise": noise, "error": error}


KINDS = (
    *(
        "mlp",
        "lenet",
        "lola",
        "cryptonets",
        "alexnet",
        "vgg",
        "depthwise",
        "resnet",
        "densenet",
        "ecg",
        "tcn",
    ),
    *("autoencoder", "tabular", "mixer", "attention"),
)
"""Architectures that the zoo must hold."""


def test_the_zoo_holds_what_people_train() -> None:
    assert len(ZOO) >= 30 and set(KINDS) <= set(ZOO)
    assert len({entry.make for entry in ZOO.values()}) == len(ZOO)
    assert [ZOO[name].shape for name in ("alexnet", "vgg")] == [(3, 32, 32)] * 2
    assert sum(entry.encrypted for entry in ZOO.values()) >= 30


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


COMPILE = """
import sys
import torch
from tests.zoo.test_zoo import ZOO
from hetorch.compiler.api import compile
for name in sys.argv[1:]:
    torch.manual_seed(5)
    model = ZOO[name].make().eval()
    x = torch.randn(100, *ZOO[name].shape).clamp(-3, 3)
    print(name, compile(model, x, activation_tolerance=0.1).fingerprint)
"""


def test_other_processes_compile_the_same_bytes() -> None:
    """The order of sets and the number of threads do not matter."""
    names = ("max_pooled", "resnet", "glu", "squeeze_excite")
    printed = [
        subprocess.run(
            [sys.executable, "-c", COMPILE, *names],
            env={
                **os.environ,
                "PYTHONHASHSEED": count,
                "OMP_NUM_THREADS": count,
                "HETORCH_NUM_THREADS": count,
            },
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for count in ("1", "2")
    ]
    assert printed[0] == printed[1] and printed[0].count("\n") == len(names)


def test_compiling_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """The network has degrees that the compiler chooses, layers fitted together, and signs from linear programs."""
    x = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    for folder in ("a", "b"):
        torch.manual_seed(5)
        kinked = hetorch.approximate(nn.ReLU(), precision=2.0**-3)
        model = nn.Sequential(nn.Linear(8, 6), nn.SiLU(), nn.Linear(6, 4), kinked, nn.Linear(4, 2))
        compile(model, x, activation_tolerance=0.3).save(tmp_path / folder)
    for file in ("manifest.json", "weights.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
