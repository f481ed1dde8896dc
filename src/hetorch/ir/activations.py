"""The element-wise functions that are approximated by polynomials, each by its definition in numpy.

Names and parameters (with their order) are those of torch.nn.functional.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


def _sigmoid(x: Array) -> Array:
    return np.asarray(special.expit(x))


def _softplus(x: Array, beta: float = 1.0) -> Array:
    return np.asarray(np.logaddexp(0.0, beta * x) / beta)


def _elu(x: Array, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Array:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) * input_scale))


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1.0 + np.asarray(special.erf(x / np.sqrt(2.0))))


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x * x * x))))


def _selu(x: Array) -> Array:
    # Constants of Klambauer et al., "Self-Normalizing Neural Networks" (2017), as torch has them.
    return _elu(x, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946)


ACTIVATIONS: Mapping[str, Callable[..., Array]] = MappingProxyType(
    {
        "relu": lambda x: np.maximum(x, 0.0),
        "leaky_relu": lambda x, slope=0.01: np.where(x > 0, x, slope * x),
        "relu6": lambda x: np.clip(x, 0.0, 6.0),
        "hardtanh": lambda x, low=-1.0, high=1.0: np.clip(x, low, high),
        "hardsigmoid": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
        "hardswish": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
        "sigmoid": _sigmoid,
        "log_sigmoid": lambda x: -np.logaddexp(0.0, -x),
        "tanh": np.tanh,
        "silu": lambda x: x * _sigmoid(x),
        "mish": lambda x: x * np.tanh(_softplus(x)),
        "gelu": _gelu,
        "gelu_tanh": _gelu_tanh,
        "softplus": _softplus,
        "softsign": lambda x: x / (1.0 + np.abs(x)),
        "elu": _elu,
        "celu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) / alpha)),
        "selu": _selu,
        "abs": np.abs,
        "exp": np.exp,
        "sin": np.sin,
        "cos": np.cos,
        "erf": lambda x: np.asarray(special.erf(x)),
        "expm1": np.expm1,
        "exp2": np.exp2,
        "sinh": np.sinh,
        "cosh": np.cosh,
        "asinh": np.arcsinh,
        "atan": np.arctan,
        "sign": np.sign,
        "sqrt": np.sqrt,
        "rsqrt": lambda x: 1.0 / np.sqrt(x),
        "reciprocal": lambda x: 1.0 / x,
        "power": np.power,
        "log": np.log,
        "log1p": np.log1p,
        "log2": np.log2,
        "hardshrink": lambda x, width=0.5: np.where(np.abs(x) > width, x, 0.0),
        "softshrink": lambda x, width=0.5: np.sign(x) * np.maximum(np.abs(x) - width, 0.0),
    }
)

LEAST: Mapping[str, float] = MappingProxyType(
    {"sqrt": 0.0, "rsqrt": 0.0, "reciprocal": 0.0, "power": 0.0, "log": 0.0, "log2": 0.0, "log1p": -1.0}
)
"""The bound above which each function is defined, for functions that have one (reciprocal is defined below it too)."""

HALF_LINE: Mapping[str, float] = MappingProxyType(
    {"relu": 0.5, "abs": 0.0, "silu": 0.5, "gelu": 0.5, "gelu_tanh": 0.5, "hardswish": 0.5, "softplus": 0.5}
    | {"log_sigmoid": 0.5, "cosh": 0.0, "cos": 0.0}
)
"""The slope a of each function that is a * x plus an even function; leaky_relu is one too, with a = (1 + s) / 2."""

HOMOGENEOUS = frozenset({"relu", "leaky_relu", "abs"})
"""The functions with f(h x) = h f(x) for every h > 0."""
