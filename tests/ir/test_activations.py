from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hetorch.ir.activations import ACTIVATIONS, HALF_LINE, HOMOGENEOUS, LEAST

TORCH: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "sigmoid": torch.sigmoid,
    "log_sigmoid": F.logsigmoid,
    "tanh": torch.tanh,
    "silu": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "softplus": F.softplus,
    "softsign": F.softsign,
    "elu": F.elu,
    "celu": lambda x: F.celu(x),
    "selu": F.selu,
    "abs": torch.abs,
    "exp": torch.exp,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "expm1": torch.expm1,
    "exp2": torch.exp2,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "asinh": torch.asinh,
    "atan": torch.atan,
    "sign": torch.sign,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "power": lambda x: x**-1.7,
    "log": torch.log,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
}


def test_every_activation_has_an_oracle() -> None:
    assert set(TORCH) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_is_what_torch_computes(name: str) -> None:
    x = np.linspace(-9, 9, 1001)
    x = x[x > LEAST.get(name, -np.inf) + 1e-3]
    expected = TORCH[name](torch.from_numpy(x)).numpy()
    parameters = (-1.7,) if name == "power" else ()
    np.testing.assert_allclose(ACTIVATIONS[name](x, *parameters), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", sorted(HALF_LINE))
def test_half_lines_are_a_slope_and_an_even_function(name: str) -> None:
    x = np.linspace(0, 5, 301)
    odd = (ACTIVATIONS[name](x) - ACTIVATIONS[name](-x)) / 2
    np.testing.assert_allclose(odd, HALF_LINE[name] * x, atol=1e-12)


@pytest.mark.parametrize("name", sorted(HOMOGENEOUS))
def test_homogeneous_functions_scale(name: str) -> None:
    x = np.linspace(-5, 5, 301)
    np.testing.assert_allclose(ACTIVATIONS[name](3 * x), 3 * ACTIVATIONS[name](x), atol=1e-12)


def test_parameters_have_the_order_of_torch() -> None:
    x = np.linspace(-3, 3, 101)
    t = torch.from_numpy(x)
    np.testing.assert_allclose(ACTIVATIONS["leaky_relu"](x, 0.2), F.leaky_relu(t, 0.2).numpy())
    np.testing.assert_allclose(ACTIVATIONS["elu"](x, 0.7), F.elu(t, 0.7).numpy(), rtol=1e-12)
    np.testing.assert_allclose(ACTIVATIONS["softplus"](x, 2.0), F.softplus(t, 2.0).numpy(), rtol=1e-9)
    np.testing.assert_allclose(ACTIVATIONS["hardtanh"](x, -2.0, 0.5), F.hardtanh(t, -2.0, 0.5).numpy())
    np.testing.assert_allclose(ACTIVATIONS["celu"](x, 1.5), F.celu(t, 1.5).numpy(), rtol=1e-12)
