# mypy: disable-error-code="no-untyped-call,no-any-return,assignment"
"""Quantised models, and models that are trained for quantisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hetorch.compiler.frontend.capture import Captured, capture
from hetorch.errors import UnsupportedModelError
from hetorch.ir.interpreter import run_tensor_program

quantization: Any = torch.ao.quantization
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)

ENGINE = torch.backends.quantized.supported_engines[-1]
X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).eval()


def with_stubs(
    config: object, prepare: Callable[[nn.Module], nn.Module], *, train: bool = False
) -> nn.Module:
    """Return the network, with stubs around it, prepared for quantisation and calibrated."""
    model: Any = nn.Sequential(quantization.QuantStub(), *network(), quantization.DeQuantStub()).train(train)
    model.qconfig = config
    prepared = prepare(model)
    prepared(X)
    return prepared


def static() -> nn.Module:
    torch.backends.quantized.engine = ENGINE
    prepared = with_stubs(quantization.get_default_qconfig(ENGINE), quantization.prepare)
    converted: nn.Module = quantization.convert(prepared)
    return converted


def dynamic() -> nn.Module:
    torch.backends.quantized.engine = ENGINE
    converted: nn.Module = quantization.quantize_dynamic(network(), {nn.Linear}, dtype=torch.qint8)
    return converted


class QuantisedWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.quantize_per_tensor(torch.randn(3, 4), 0.02, 0, torch.qint8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert isinstance(self.weight, torch.Tensor)
        return x @ self.weight.dequantize().T


@pytest.mark.parametrize("make", [static, dynamic, QuantisedWeight])
def test_a_quantised_model_is_refused_with_the_float_one_named(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(UnsupportedModelError, match=r"is a quantised model .* compile the float model"):
        capture(make(), X)


class Rounding(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127)


def test_a_call_that_rounds_is_refused_with_the_float_one_named() -> None:
    with pytest.raises(UnsupportedModelError, match="compile the float model"):
        capture(Rounding(), X)


def same_as_float(captured: Captured) -> None:
    with torch.no_grad():
        expected = network()(X).numpy()
    np.testing.assert_allclose(run_tensor_program(captured.program, X.numpy()), expected, atol=1e-5)


def test_fake_quantisation_is_left_out_with_a_note() -> None:
    model = with_stubs(quantization.get_default_qat_qconfig(ENGINE), quantization.prepare_qat, train=True)
    assert not torch.allclose(model.eval()(X), network()(X), atol=1e-4)
    captured = capture(model, X)
    same_as_float(captured)
    assert any("fake-quantisation modules is left out" in note for note in captured.notes)


def test_observers_change_nothing() -> None:
    captured = capture(with_stubs(quantization.get_default_qconfig(ENGINE), quantization.prepare), X)
    same_as_float(captured)
    assert not any("quantisation" in note for note in captured.notes)
