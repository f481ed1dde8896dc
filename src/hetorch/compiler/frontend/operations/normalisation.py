"""Normalisations whose statistics depend on the input, and softmax inside a network.

Both are products and approximated functions (1 / sqrt(x), exp, 1 / x) on calibrated ranges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy import sparse

from hetorch.compiler.frontend.operations import matrices
from hetorch.compiler.frontend.operations.affine import batch_norm
from hetorch.compiler.frontend.operations.builder import Builder, Handler
from hetorch.compiler.frontend.operations.call import Array, Call, Shape, Symbol

MOST_SPREAD = 1 << 22
"""Largest number of weights of a map that writes the mean of a run at every element of it. Raised, normalisations over
larger parts of an image take two levels less, and more memory and time to compile and to run."""


def normalised(
    builder: Builder, call: Call, source: Symbol, groups: int, eps: float, *, centred: bool = True
) -> Symbol:
    """Return (x - mean) / sqrt(variance + eps) within each of `groups` equal runs of elements. Without `centred` the
    mean is taken as 0 (RMS norm)."""
    length = source.size // groups
    if source.size * length > MOST_SPREAD:
        return _normalised_by_means(builder, call, source, groups, eps, centred=centred)
    average = np.full((length, length), 1.0 / length)
    centre = source
    if centred:
        block = sparse.csr_array(np.eye(length) - average)
        centre = builder.affine(source, matrices.repeated(block, groups), None, call, source.shape)
    square = builder.multiply(centre, centre, call)
    # The map writes the variance at every element, so no separate step has to spread it.
    spread = matrices.repeated(sparse.csr_array(average), groups)
    variance = builder.affine(square, spread, np.full(source.size, eps), call, source.shape)
    return builder.multiply(centre, builder.activation(variance, "rsqrt", (), call), call)


def _normalised_by_means(
    builder: Builder, call: Call, source: Symbol, groups: int, eps: float, *, centred: bool
) -> Symbol:
    """Return the same as normalised; mean and variance are one number a run before they are spread over it."""
    length, means = source.size // groups, (1, groups)
    average = matrices.repeated(sparse.csr_array(np.full((1, length), 1.0 / length)), groups)
    spread = matrices.repeated(sparse.csr_array(np.ones((length, 1))), groups)
    centre = source
    if centred:
        mean = builder.affine(source, average, None, call, means)
        centre = builder.add(source, builder.affine(mean, -spread, None, call, source.shape), call)
    square = builder.multiply(centre, centre, call)
    variance = builder.affine(square, average, np.full(groups, eps), call, means)
    inverse = builder.activation(variance, "rsqrt", (), call)
    return builder.multiply(centre, builder.affine(inverse, spread, None, call, source.shape), call)


def _layer_norm(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("input")
    inner = math.prod(int(n) for n in call["normalized_shape"])
    result = normalised(builder, call, source, source.size // inner, float(call["eps"]))
    return _weighted(builder, call, result, source.size // inner, 1)


def _rms_norm(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("input")
    inner = math.prod(int(n) for n in call["normalized_shape"])
    eps = float(np.finfo(np.float32).eps) if call["eps"] is None else float(call["eps"])
    result = normalised(builder, call, source, source.size // inner, eps, centred=False)
    return _weighted(builder, call, result, source.size // inner, 1)


def _group_norm(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("input")
    groups = source.shape[0] * int(call["num_groups" if "num_groups" in call.arguments else "group"])
    result = normalised(builder, call, source, groups, float(call["eps"]))
    return _weighted(builder, call, result, source.shape[0], math.prod(source.shape[2:]))


def _instance_norm(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("input")
    if not call["use_input_stats"]:
        return batch_norm(builder, call)
    result = normalised(builder, call, source, source.shape[0] * source.shape[1], float(call["eps"]))
    return _weighted(builder, call, result, source.shape[0], math.prod(source.shape[2:]))


def _functional(handler: Callable[[Builder, Call], Symbol]) -> Handler:
    """Return the handler of the form of a normalisation that returns its statistics too, which no model reads."""
    return lambda builder, call: (handler(builder, call), *(None for _ in call.shapes[1:]))


def _weighted(builder: Builder, call: Call, source: Symbol, before: int, after: int) -> Symbol:
    """Return source * weight + bias, with each number repeated `after` times and the whole `before` times."""
    weight, bias = call.constant("weight"), call.constant("bias") if "bias" in call.arguments else None
    if weight is None and bias is None:
        return source

    def spread(values: Array | None, default: float) -> Array:
        if values is None:
            return np.full(source.size, default)
        return np.tile(np.repeat(values.reshape(-1), after), before)

    return builder.affine(
        source, matrices.diagonal(spread(weight, 1.0)), spread(bias, 0.0), call, source.shape
    )


def _softmax(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    axis = int(call["dim"]) % len(source.shape)
    if call.op == "softmin":
        source = builder.scale(source, -1.0, call)
    if call.op.endswith("log_softmax"):
        centre, total, _ = _exponentials(builder, call, source, axis, None)
        logarithm = builder.activation(total, "log", (), call)
        return builder.add(centre, builder.scale(logarithm, -1.0, call), call)
    return softmax_of(builder, call, source, axis)


def softmax_of(builder: Builder, call: Call, source: Symbol, axis: int, mask: Array | None = None) -> Symbol:
    """Return the softmax along an axis. `mask`, broadcast to the shape, is added to x first; it may hold -inf."""
    _, total, exponential = _exponentials(builder, call, source, axis, mask)
    return builder.multiply(exponential, builder.activation(total, "reciprocal", (), call), call)


def _exponentials(
    builder: Builder, call: Call, source: Symbol, axis: int, mask: Array | None
) -> tuple[Symbol, Symbol, Symbol]:
    """Return x minus its mean along the axis, the sum of the exponentials at every element, and the exponentials.

    Subtracting the mean changes no softmax and costs no level, since it is affine.
    """
    shape = source.shape
    average = _along(shape, axis, np.ones(shape) / shape[axis])
    identity = sparse.csr_array(sparse.eye_array(source.size, format="csr"))
    centre = builder.affine(source, sparse.csr_array(identity - average), None, call, shape)
    exponential = builder.activation(centre, "exp", (), call)
    weights = np.ones(shape)
    if mask is not None:
        # exp(x + m) = exp(x) exp(m), and exp(-inf) = 0.
        weights = np.exp(np.broadcast_to(mask, shape) - np.max(mask))
    if np.any(weights != 1.0):
        exponential = builder.affine(exponential, matrices.diagonal(weights.reshape(-1)), None, call, shape)
    total = builder.affine(exponential, _along(shape, axis, np.ones(shape)), None, call, shape)
    return centre, total, exponential


def _log_sum_exp(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    axes = call.axes("dim", len(source.shape))
    if len(axes) != 1:
        raise call.unsupported("several axes at once", "flatten them first")
    _, total, _ = _exponentials(builder, call, source, axes[0], None)
    average = matrices.reduction(source.shape, axes, mean=True)
    logarithm = builder.activation(builder.affine(total, average, None, call), "log", (), call)
    return builder.add(builder.affine(source, average, None, call), logarithm, call)


def _variance(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    axes = call.reduced_axes("dim", source.shape)
    correction = call.arguments.get("correction")
    correction = float(call.arguments.get("unbiased", True)) if correction is None else float(correction)
    count = math.prod(source.shape[axis] for axis in axes)
    if count <= correction:
        raise call.unsupported(f"a variance of {count} numbers", "give it more, or correction=0")
    average = matrices.reduction(source.shape, axes, mean=True)
    identity = sparse.eye_array(source.size, format="csr")
    centred = sparse.csr_array(identity - count * (average.T @ average))
    centre = builder.affine(source, centred, None, call, source.shape)
    square = builder.multiply(centre, centre, call)
    return builder.affine(square, sparse.csr_array(average * (count / (count - correction))), None, call)


def _along(shape: Shape, axis: int, values: Array) -> sparse.csr_array:
    """Return the map to the sum of values * x along an axis, written at every element."""
    numbers = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    index = np.repeat(np.expand_dims(np.moveaxis(numbers, axis, -1), axis), shape[axis], axis=axis)
    return matrices.contraction(index.shape, len(shape), index, values.reshape(-1)[index], numbers.size)


def _vector_norm(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    order = float(call.arguments.get("ord", call.arguments.get("p", 2)))
    if order != 2:
        raise call.unsupported(f"norm of order {order}", "the norm of order 2 works")
    axes = call.reduced_axes("dim", source.shape)
    square = builder.multiply(source, source, call)
    total = builder.affine(square, matrices.reduction(source.shape, axes, mean=False), None, call)
    return builder.activation(total, "sqrt", (), call)


NORMALISATION: Mapping[str, Handler] = MappingProxyType(
    {
        "layer_norm": _layer_norm,
        "rms_norm": _rms_norm,
        "group_norm": _group_norm,
        "_native_batch_norm_legit_no_training": _functional(batch_norm),
        "native_layer_norm": _functional(_layer_norm),
        "native_group_norm": _functional(_group_norm),
        "instance_norm": _instance_norm,
        "linalg_vector_norm": _vector_norm,
        "norm": _vector_norm,
        "var": _variance,
        "logsumexp": _log_sum_exp,
        **dict.fromkeys(("softmax", "_softmax", "softmin", "log_softmax", "_log_softmax"), _softmax),
    }
)
