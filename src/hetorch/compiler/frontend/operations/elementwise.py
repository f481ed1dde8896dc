"""Element-wise operations: arithmetic with constants (affine) and between encrypted values, and activations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from hetorch.compiler.frontend.operations import matrices
from hetorch.compiler.frontend.operations.builder import (
    Builder,
    Handler,
    broadcast_index,
    expanded,
    plus_constant,
)
from hetorch.compiler.frontend.operations.call import Array, Call, Symbol, as_array
from hetorch.ir.tensor_program import Activation

MAX_POWER = 64
"""Largest whole exponent that is computed by products; x^64 takes six levels."""
NEVER_NEGATIVE = ("sqrt", "exp", "relu", "sigmoid")
"""Functions whose results need no clamp at zero."""


def _add(builder: Builder, call: Call) -> Symbol:
    return _sum(builder, call, float(call.arguments.get("alpha", 1)))


def _subtract(builder: Builder, call: Call) -> Symbol:
    return _sum(builder, call, -float(call.arguments.get("alpha", 1)))


def _reverse_subtract(builder: Builder, call: Call) -> Symbol:
    factor = float(call.arguments.get("alpha", 1))
    b = _scaled(builder, call, call.symbol("self"), -factor)
    a = call["other"]
    if isinstance(a, Symbol):
        return builder.add(expanded(builder, a, call.shape, call), b, call)
    return _plus(builder, call, b, as_array(a))


def _sum(builder: Builder, call: Call, factor: float) -> Symbol:
    a, b = call["self"], call["other"]
    if not isinstance(b, Symbol):
        return _plus(builder, call, call.symbol("self"), factor * as_array(b))
    right = _scaled(builder, call, b, factor)
    if not isinstance(a, Symbol):
        return _plus(builder, call, right, as_array(a))
    return builder.add(expanded(builder, a, call.shape, call), right, call)


def _multiply(builder: Builder, call: Call) -> Symbol:
    a, b = call["self"], call["other"]
    if isinstance(a, Symbol) and isinstance(b, Symbol):
        # torch.nn.functional.lp_pool2d computes sign(x) * relu(|x|), which is x.
        original = _signed_size(builder, a, b)
        if original is not None:
            return Symbol(original, call.shape)
        return builder.multiply(
            expanded(builder, a, call.shape, call), expanded(builder, b, call.shape, call), call
        )
    if isinstance(a, Symbol):
        return _scaled(builder, call, a, as_array(b))
    return _scaled(builder, call, b, as_array(a))


def _signed_size(builder: Builder, a: Symbol, b: Symbol) -> int | None:
    """Return x if a is sign(x) and b is |x| (or relu of it), else None."""
    sign, size = builder.producer(a), builder.producer(b)
    if not (isinstance(sign, Activation) and isinstance(size, Activation)):
        return None
    if size.function == "relu" and size.input:
        size = builder.operations[size.input - 1]
    if not isinstance(size, Activation) or (sign.function, size.function) != ("sign", "abs"):
        return None
    return sign.input if sign.input == size.input else None


def _divide(builder: Builder, call: Call) -> Symbol:
    if call.arguments.get("rounding_mode"):
        raise call.unsupported("it rounds", "division without rounding works")
    a, b = call["self"], call["other"]
    if not isinstance(b, Symbol):
        return _scaled(builder, call, call.symbol("self"), 1.0 / as_array(b))
    inverse = builder.activation(b, "reciprocal", (), call)
    if not isinstance(a, Symbol):
        return _scaled(builder, call, inverse, as_array(a))
    return builder.multiply(
        expanded(builder, a, call.shape, call), expanded(builder, inverse, call.shape, call), call
    )


def _negate(builder: Builder, call: Call) -> Symbol:
    return _scaled(builder, call, call.symbol("self"), -1.0)


def _square(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    return builder.multiply(source, source, call)


def _power(builder: Builder, call: Call) -> Symbol:
    exponent = call["exponent"]
    if isinstance(exponent, Symbol):
        base = call["self"]
        numbers = [] if isinstance(base, Symbol) else as_array(base).reshape(-1).tolist()
        if len(numbers) != 1 or not 0 < numbers[0] < math.inf:
            raise call.unsupported(
                "the exponent depends on the input", "fixed exponents work, and one positive base"
            )
        factor = math.log(numbers[0])
        whole = expanded(builder, exponent, call.shape, call)
        return builder.activation(builder.scale(whole, factor, call), "exp", (), call)
    constant = as_array(exponent)
    if constant.size != 1:
        raise call.unsupported("several exponents", "one exponent for all elements works")
    exponent = float(constant.reshape(()))
    source = call.symbol("self")
    if exponent not in range(1, MAX_POWER + 1):
        function = {0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal"}.get(exponent)
        if exponent == 0 or not math.isfinite(exponent):
            raise call.unsupported(f"exponent {exponent}", f"whole exponents from 1 to {MAX_POWER} work")
        if function:
            return builder.activation(source, function, (), call)
        if exponent > 0 and exponent.is_integer():
            raise call.unsupported(f"exponent {exponent:g}", f"whole exponents from 1 to {MAX_POWER} work")
        return builder.activation(source, "power", (exponent,), call)
    powers = {1: source}

    def power(n: int) -> Symbol:
        # The most balanced split has the least depth: ceil(log2 n).
        if n not in powers:
            powers[n] = builder.multiply(power((n + 1) // 2), power(n // 2), call)
        return powers[n]

    return power(int(exponent))


def _scaled(builder: Builder, call: Call, source: Symbol, factor: Array | float) -> Symbol:
    """Return source * constant, both broadcast to the shape of the call."""
    values = np.broadcast_to(np.asarray(factor, dtype=np.float64), call.shape).reshape(-1)
    if not np.all(np.isfinite(values)):
        raise call.unsupported("a factor is NaN or infinite", "check the constants of the model")
    return builder.move(source, broadcast_index(source, call.shape), call, values)


def _plus(builder: Builder, call: Call, source: Symbol, constant: Array) -> Symbol:
    whole = expanded(builder, source, call.shape, call)
    return plus_constant(builder, call, whole, np.broadcast_to(constant, call.shape).reshape(-1))


def _activation(name: str, *parameters: str) -> Handler:
    """Return the handler of an activation; `parameters` names the torch arguments that it takes, in order."""

    def handler(builder: Builder, call: Call) -> Symbol:
        source = call.symbol("self")
        return builder.activation(source, name, tuple(float(call[p]) for p in parameters), call)

    return handler


def _gelu(builder: Builder, call: Call) -> Symbol:
    name = "gelu_tanh" if call["approximate"] == "tanh" else "gelu"
    return builder.activation(call.symbol("self"), name, (), call)


def _clamp(builder: Builder, call: Call) -> Symbol:
    low, high = (
        default if call.arguments.get(key) is None else as_array(call[key])
        for key, default in (("min", np.asarray(-np.inf)), ("max", np.asarray(np.inf)))
    )
    if low.size != 1 or high.size != 1:
        raise call.unsupported("one bound an element", "one bound for all elements works")
    bounds = (float(low.reshape(())), float(high.reshape(())))
    source = call.symbol("self")
    producer = builder.producer(source)
    # torch.nn.functional.normalize and the parts of hardsigmoid clamp values that cannot be negative.
    if (
        isinstance(producer, Activation)
        and producer.function in NEVER_NEGATIVE
        and bounds[0] <= 1e-6
        and bounds[1] == np.inf
    ):
        return source
    return _clip(builder, source, bounds, call)


def _hardtanh(builder: Builder, call: Call) -> Symbol:
    return _clip(builder, call.symbol("self"), (float(call["min_val"]), float(call["max_val"])), call)


_NAMES = {(0.0, math.inf): "relu", (0.0, 6.0): "relu6"}


def _clip(builder: Builder, source: Symbol, bounds: tuple[float, float], call: Call) -> Symbol:
    """Return min(max(x, low), high), under the name that its bounds have in PyTorch: torch.export does not keep it."""
    if bounds in _NAMES:
        return builder.activation(source, _NAMES[bounds], (), call)
    return builder.activation(source, "hardtanh", bounds, call)


def _prelu(builder: Builder, call: Call) -> Symbol:
    slope = call.constant("weight")
    assert slope is not None
    source = call.symbol("self")
    if slope.size == 1:
        return builder.activation(source, "leaky_relu", (float(slope.reshape(())),), call)
    # One slope a channel (axis 1): s x + (1 - s) relu(x).
    repeat = math.prod(source.shape[2:])
    slopes = np.tile(np.repeat(slope.reshape(-1), repeat), source.shape[0])
    rectified = builder.activation(source, "relu", (), call)
    line = builder.affine(source, matrices.diagonal(slopes), None, call, source.shape)
    above = builder.affine(rectified, matrices.diagonal(1.0 - slopes), None, call, source.shape)
    return builder.add(line, above, call)


def _gate(builder: Builder, call: Call) -> Symbol:
    """Return the first half of an axis times the sigmoid of the second (GLU)."""
    source = call.symbol("self")
    axis = int(call["dim"]) % len(source.shape)
    numbers = np.arange(source.size, dtype=np.int64).reshape(source.shape)
    first, second = np.split(numbers, 2, axis=axis)
    value = builder.move(source, np.ascontiguousarray(first), call)
    gate = builder.activation(builder.move(source, np.ascontiguousarray(second), call), "sigmoid", (), call)
    return builder.multiply(value, gate, call)


def _threshold(builder: Builder, call: Call) -> Symbol:
    least = float(call["threshold"])
    if float(call["value"]) != least:
        raise call.unsupported("a step", "ReLU works, and a threshold that is the value below it")
    return _clip(builder, call.symbol("self"), (least, math.inf), call)


_PLAIN = ("relu", "relu6", "hardsigmoid", "hardswish", "sigmoid", "tanh", "silu", "mish", "selu")
_MORE = ("log_sigmoid", "softsign", "abs", "exp", "expm1", "sin", "cos", "erf", "sqrt", "rsqrt", "reciprocal")
_REST = ("log", "log1p", "log2", "atan", "sinh", "cosh", "asinh", "sign", "exp2")

ELEMENTWISE: Mapping[str, Handler] = MappingProxyType(
    {name: _activation(name) for name in (*_PLAIN, *_MORE, *_REST)}
    | {
        "arctan": _activation("atan"),
        "special_expit": _activation("sigmoid"),
        "special_erf": _activation("erf"),
        "leaky_relu": _activation("leaky_relu", "negative_slope"),
        "elu": _activation("elu", "alpha", "scale", "input_scale"),
        "celu": _activation("celu", "alpha"),
        "softplus": _activation("softplus", "beta"),
        "hardtanh": _hardtanh,
        "hardshrink": _activation("hardshrink", "lambd"),
        "softshrink": _activation("softshrink", "lambd"),
        "clamp": _clamp,
        "clip": _clamp,
        "clamp_min": _clamp,
        "clamp_max": _clamp,
        "gelu": _gelu,
        "prelu": _prelu,
        "_prelu_kernel": _prelu,
        "rrelu": lambda builder, call: builder.activation(
            call.symbol("self"), "leaky_relu", ((float(call["lower"]) + float(call["upper"])) / 2,), call
        ),
        "threshold": _threshold,
        "glu": _gate,
        "add": _add,
        "sub": _subtract,
        "subtract": _subtract,
        "rsub": _reverse_subtract,
        "mul": _multiply,
        "multiply": _multiply,
        "div": _divide,
        "divide": _divide,
        "true_divide": _divide,
        "neg": _negate,
        "negative": _negate,
        "square": _square,
        "pow": _power,
    }
)
