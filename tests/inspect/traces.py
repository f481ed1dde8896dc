"""Traces written by hand, so that a picture of one is the same on every machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hetorch.inspect.layer_trace import Distribution, Errors, LayerTrace
from hetorch.inspect.trace_result import Run, Trace
from hetorch.plan.report import ChannelCurve, PolynomialReport
from tests.server.small_plan import small_plan

NAMES = (
    "input",
    "conv1 + bn1",
    "relu",
    "conv2 + bn2",
    "relu",
    "features.block.4.downsample.0 + bn",
    "add",
    "fc",
)


def layer(name: str, number: int, count: int, run: Run, *, model: bool = True) -> LayerTrace:
    """One layer of a trace of `count` layers; its errors and noise grow with its number."""
    random = np.random.default_rng(number)
    clear = random.normal(0, 1, (8, 30))
    noisy = clear + 2.0 ** (number - 20) * random.normal(0, 1, clear.shape)
    truth = clear + 1e-4 * 1.5**number * random.normal(0, 1, clear.shape)
    values = {"cleartext": clear}
    if run != "cleartext":
        values["simulated"] = clear + 1.1 * (noisy - clear)
    if run == "encrypted":
        values["encrypted"] = noisy
    if model:
        values |= {"model": truth, "compared": values[run]}
    known: dict[str, Any] = {
        key: Distribution.of(value) for key, value in values.items() if key != "compared"
    }
    return LayerTrace(
        name=name,
        kind="",
        level=count - number - 1,
        scale_bits=30.0,
        cleartext=known["cleartext"],
        simulated=known.get("simulated"),
        encrypted=known.get("encrypted"),
        model=known.get("model"),
        noise=None if run == "cleartext" else Errors.of(values[run], clear),
        noise_added=None if run == "cleartext" or number == 6 else 2.0 ** (number - 21),
        noise_bound=1e-4,
        error=Errors.of(values[run], truth) if model and number != 4 else None,
        outside=0.043 if number == 2 else 0.0 if number == 4 else None,
        fitted_range=(-3.0, 3.0) if name == "relu" else None,
        seconds=0.01 * (1 + number % 3) if run == "encrypted" and number else None,
        predicted_seconds=0.012 * (1 + number % 3) if number else 0.0,
        rotations=number,
        memory_bytes=10_000_000 * (1 + number % 5),
        values=values,
    )


def written_trace(run: Run = "encrypted", names: tuple[str, ...] = NAMES, *, model: bool = True) -> Trace:
    """A trace with layers of these names and an activation relu."""
    layers = [layer(name, number, len(names), run, model=model) for number, name in enumerate(names)]
    if model:  # the input of a run by exact arithmetic is without error
        layers[0] = replace(layers[0], error=Errors(0.0, 0.0, 0.0, np.inf))
    plan = small_plan()
    curves = []
    for half in (2.0, 3.0):
        x = np.linspace(-half, half, 33)
        curves.append(
            ChannelCurve(-half, half, tuple(np.maximum(x, 0.0)), tuple(x**2 / (2 * half) + x / 2 + half / 16))
        )
    histogram = np.histogram(np.random.default_rng(0).normal(0, 1, 5000), 40, (-3.0, 3.0))[0] / 5000
    fit = PolynomialReport(
        "relu", "relu", 2, -3.0, 3.0, 0.19, curves=tuple(curves), histogram=tuple(histogram)
    )
    report = replace(plan.report, polynomials=(fit,), predicted_error=1e-4, approximation_error=0.01)
    return Trace(
        replace(plan, report=report), run, np.zeros((8, 8)), tuple(layers), False, None, (None,) * len(layers)
    )
