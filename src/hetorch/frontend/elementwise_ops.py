"""torch's element-wise operations: with constants (affine), between two encrypted values, and activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hetorch.frontend.affine_ops import Handler
from hetorch.frontend.builder import BATCH, Array, Builder, Call, Symbol, as_array, without_batch
from hetorch.frontend.matrices import selection

MAX_POWER = 16


def _add(builder: Builder, call: Call) -> Symbol:
    return _sum(builder, call, float(call.arguments.get("alpha", 1)))


def _subtract(builder: Builder, call: Call) -> Symbol:
    return _sum(builder, call, -float(call.arguments.get("alpha", 1)))


def _reverse_subtract(builder: Builder, call: Call) -> Symbol:
    negated = _scaled(builder, call, call.symbol("self"), -float(call.arguments.get("alpha", 1)))
    return _plus(builder, call, negated, as_array(call["other"]))


def _sum(builder: Builder, call: Call, factor: float) -> Symbol:
    a, b = call["self"], call["other"]
    if not isinstance(b, Symbol):
        return _plus(builder, call, call.symbol("self"), factor * as_array(b))
    right = _scaled(builder, call, b, factor)
    if not isinstance(a, Symbol):
        return _plus(builder, call, right, as_array(a))
    return builder.add(_expanded(builder, call, a), right, call)


def _multiply(builder: Builder, call: Call) -> Symbol:
    a, b = call["self"], call["other"]
    if isinstance(a, Symbol) and isinstance(b, Symbol):
        return builder.multiply(_expanded(builder, call, a), _expanded(builder, call, b), call)
    if isinstance(a, Symbol):
        return _scaled(builder, call, a, as_array(b))
    return _scaled(builder, call, b, as_array(a))


def _divide(builder: Builder, call: Call) -> Symbol:
    if isinstance(call["other"], Symbol) or call.arguments.get("rounding_mode"):
        raise call.unsupported("division by encrypted data, or rounding", "only division by constants works")
    return _scaled(builder, call, call.symbol("self"), 1.0 / as_array(call["other"]))


def _negate(builder: Builder, call: Call) -> Symbol:
    return _scaled(builder, call, call.symbol("self"), -1.0)


def _square(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    return builder.multiply(source, source, call)


def _power(builder: Builder, call: Call) -> Symbol:
    exponent = call["exponent"]
    if isinstance(exponent, Symbol) or float(exponent) not in range(1, MAX_POWER + 1):
        raise call.unsupported(f"exponent {exponent}", f"whole exponents from 1 to {MAX_POWER} work")
    powers = {1: call.symbol("self")}

    def power(n: int) -> Symbol:
        # The most balanced split has the least depth: ceil(log2 n).
        if n not in powers:
            powers[n] = builder.multiply(power((n + 1) // 2), power(n // 2), call)
        return powers[n]

    return power(int(exponent))


def _scaled(builder: Builder, call: Call, source: Symbol, factor: Array | float) -> Symbol:
    """Source * constant, both broadcast to the shape of the result."""
    values = without_batch(np.asarray(factor, dtype=np.float64), call.shape, call).reshape(-1)
    return builder.move(source, _broadcast_index(source, call), call, values)


def _plus(builder: Builder, call: Call, source: Symbol, constant: Array) -> Symbol:
    bias = without_batch(constant, call.shape, call).reshape(-1)
    matrix = selection(_broadcast_index(source, call), source.size)
    return builder.affine(source, matrix, bias, call)


def _expanded(builder: Builder, call: Call, source: Symbol) -> Symbol:
    if source.shape == call.shape:
        return source
    return builder.move(source, _broadcast_index(source, call), call)


def _broadcast_index(source: Symbol, call: Call) -> NDArray[np.int64]:
    """For each element of the result, the element of `source` that torch's broadcasting puts there."""
    # With the batch axis: (2, 3) + (2, 3, 1) aligns axes from the right, batch axes included.
    whole = np.arange(BATCH * source.size, dtype=np.int64).reshape(BATCH, *source.shape)
    index = np.broadcast_to(whole, (BATCH, *call.shape))[0]
    if index.max() >= source.size:
        raise call.unsupported("broadcasting mixes the samples of a batch", "give both operands all axes")
    return np.ascontiguousarray(index)


def _activation(name: str, *parameters: str) -> Handler:
    """An activation whose torch arguments `parameters` are those of ir.activations."""

    def handler(builder: Builder, call: Call) -> Symbol:
        source = call.symbol("self")
        return builder.activation(source, name, tuple(float(call[p]) for p in parameters), call)

    return handler


def _gelu(builder: Builder, call: Call) -> Symbol:
    name = "gelu_tanh" if call["approximate"] == "tanh" else "gelu"
    return builder.activation(call.symbol("self"), name, (), call)


def _clamp(builder: Builder, call: Call) -> Symbol:
    low, high = (
        default if call[key] is None else float(call[key])
        for key, default in (("min", -np.inf), ("max", np.inf))
    )
    return builder.activation(call.symbol("self"), "hardtanh", (float(low), float(high)), call)


def _prelu(builder: Builder, call: Call) -> Symbol:
    slope = call.constant("weight")
    if slope is None or slope.size != 1:
        raise call.unsupported("one slope a channel", "nn.PReLU() with a single slope works")
    return builder.activation(call.symbol("self"), "leaky_relu", (float(slope.reshape(())),), call)


_PLAIN = ("relu", "relu6", "hardsigmoid", "hardswish", "sigmoid", "tanh", "silu", "mish", "selu")
_MORE = ("log_sigmoid", "softsign", "abs", "exp", "sin", "cos", "erf")

ELEMENTWISE: Mapping[str, Callable[[Builder, Call], Symbol]] = MappingProxyType(
    {name: _activation(name) for name in (*_PLAIN, *_MORE)}
    | {
        "leaky_relu": _activation("leaky_relu", "negative_slope"),
        "elu": _activation("elu", "alpha", "scale", "input_scale"),
        "celu": _activation("celu", "alpha"),
        "softplus": _activation("softplus", "beta"),
        "hardtanh": _activation("hardtanh", "min_val", "max_val"),
        "clamp": _clamp,
        "gelu": _gelu,
        "prelu": _prelu,
        "add": _add,
        "sub": _subtract,
        "rsub": _reverse_subtract,
        "mul": _multiply,
        "div": _divide,
        "neg": _negate,
        "square": _square,
        "pow": _power,
    }
)
