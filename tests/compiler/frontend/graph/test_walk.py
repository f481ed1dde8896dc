"""Contexts of torch and wrappers of modules that change nothing in a trained model are looked through."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.profiler import record_function

import hetorch
from hetorch.compiler.frontend.capture import capture
from hetorch.ir.interpreter import run_tensor_program

Context = Callable[[], AbstractContextManager[Any]]
X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))


class Network(nn.Module):
    """Its first half in one context, inside of which is another one; the output of both is used."""

    def __init__(self, outer: Context, inner: Context = contextlib.nullcontext) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)
        self.outer, self.inner = outer, inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.outer():
            hidden = self.first(x).softmax(1)
            with self.inner():
                doubled = torch.tanh(hidden) * 2
        result: torch.Tensor = self.last(hidden.float() + doubled.float())
        return result


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            scores: torch.Tensor = self.first(x).softmax(1)
            return scores


def compiled(model: nn.Module) -> nn.Module:
    return cast(nn.Module, torch.compile(model, backend="eager"))


WRAPS = [nn.DataParallel, compiled, lambda model: compiled(nn.DataParallel(model))]

CONTEXTS: dict[str, Context] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast of cuda": lambda: torch.autocast("cuda"),
    "autocast off": lambda: torch.autocast("cpu", enabled=False),
    "amp": lambda: torch.amp.autocast("cpu"),
    "no_grad": torch.no_grad,
    "enable_grad": torch.enable_grad,
    "inference_mode": torch.inference_mode,
    "set_grad_enabled": lambda: torch.set_grad_enabled(True),
    "record_function": lambda: record_function("x"),
    "detect_anomaly": lambda: torch.autograd.set_detect_anomaly(False),
    "cudnn": lambda: torch.backends.cudnn.flags(enabled=False),
    "device": lambda: torch.device("cpu"),
    "fork_rng": torch.random.fork_rng,
    "catch_warnings": warnings.catch_warnings,
}


@pytest.mark.parametrize("inner", ["nullcontext", "autocast", "enable_grad"])
@pytest.mark.parametrize("outer", CONTEXTS)
def test_contexts(outer: str, inner: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that there is no CUDA
        contexts = {**CONTEXTS, "nullcontext": contextlib.nullcontext}
        captured = capture(Network(contexts[outer], contexts[inner]), X)
        plain = capture(Network(contextlib.nullcontext), X)
    np.testing.assert_allclose(run_tensor_program(captured.program, X), plain.outputs, atol=1e-6)
    assert [row.operation for row in captured.rows if row.status != "exact"] == ["softmax", "tanh"]
    rounding = {"autocast", "amp"} | ({"autocast of cuda"} if torch.cuda.is_available() else set())
    assert any("without torch.autocast" in note for note in captured.notes) == bool({outer, inner} & rounding)


def test_a_function_at_the_end_of_a_context_is_left_to_the_client() -> None:
    analysis = hetorch.analyze(Whole(), X)
    assert analysis.supported and [row.operation for row in analysis["client"]] == ["softmax"]


def test_a_mistake_is_found_under_autocast_too() -> None:
    class Flipped(Whole):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x + x.flip(0))

    assert "batch" in hetorch.analyze(Flipped(), X).problem


@pytest.mark.parametrize("wrap", WRAPS)
def test_wrapped_modules(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model = nn.Sequential(nn.Linear(4, 2))
    captured = capture(wrap(model), X)
    assert captured.name == "Sequential" and [row.name for row in captured.rows] == ["0"]


@pytest.mark.parametrize("wrap", WRAPS)
def test_weights_of_wrapped_modules(wrap: Callable[[nn.Module], nn.Module]) -> None:
    trained = nn.Sequential(nn.Linear(4, 2))
    model = hetorch.load_model(wrap(trained).state_dict(), module=lambda: nn.Sequential(nn.Linear(4, 2)))
    assert torch.equal(model(X), trained(X))
    notes = hetorch.analyze(model, X).notes
    assert any("dropped from the names of the weights: the prefix" in note for note in notes)


def test_a_prefix_of_the_model_itself_stays() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(4, 2)

    model = Own()
    assert hetorch.load_model(Own().state_dict(), module=lambda: model) is model
