"""torch's affine operations: each becomes one sparse matrix and a bias."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy import sparse

from hetorch.frontend import matrices
from hetorch.frontend.builder import Array, Builder, Call, Symbol

Handler = Callable[[Builder, Call], Symbol]


def _convolution(builder: Builder, call: Call) -> Symbol:
    source, weight, bias = call.symbol("input"), call.constant("weight"), call.constant("bias")
    assert weight is not None
    axes = weight.ndim - 2
    if len(source.shape) != axes + 1:
        raise call.unsupported(
            f"input of shape {source.shape} without the batch axis", "give it (batch, C, ...)"
        )
    size = _plane(source.shape, axes)
    kernel = _plane(weight.shape, axes)
    flat = axes == 1
    stride, dilation = (_pair(call, name, flat, 1) for name in ("stride", "dilation"))
    if call["padding"] == "same":
        # torch pads (total // 2) before and the rest after; only "before" matters to the windows.
        padding = (dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2)
    elif call["padding"] == "valid":
        padding = (0, 0)
    else:
        padding = _pair(call, "padding", flat, 0)
    output = _plane(call.shape, axes)
    grid = weight.reshape(weight.shape[0], weight.shape[1], *kernel)
    matrix = matrices.convolution(grid, size, stride, padding, dilation, int(call["groups"]), output)
    return builder.affine(source, matrix, None if bias is None else np.repeat(bias, math.prod(output)), call)


def _linear(builder: Builder, call: Call) -> Symbol:
    weight = call.constant("weight")
    assert weight is not None
    return _rows_times(builder, call, call.symbol("input"), weight, call.constant("bias"))


def _matmul(builder: Builder, call: Call) -> Symbol:
    first, second = ("self", "other") if "other" in call.arguments else ("self", "mat2")
    if isinstance(call[first], Symbol) and isinstance(call[second], Symbol):
        raise call.unsupported("both factors depend on the input", "only products with fixed weights work")
    weight = call.constant(second)
    if weight is None or weight.ndim != 2:
        raise call.unsupported("the fixed factor is not a matrix", "use nn.Linear")
    return _rows_times(builder, call, call.symbol(first), weight.T, None)


def _addmm(builder: Builder, call: Call) -> Symbol:
    weight, bias = call.constant("mat2"), call.constant("self")
    assert weight is not None and bias is not None
    offset = np.broadcast_to(bias * float(call["beta"]), call.shape)
    return _rows_times(builder, call, call.symbol("mat1"), weight.T * float(call["alpha"]), offset)


def _rows_times(builder: Builder, call: Call, source: Symbol, weight: Array, bias: Array | None) -> Symbol:
    """The last axis times weight.T, once for each index of the axes before it."""
    lead = math.prod(source.shape[:-1])
    block = sparse.csr_array(weight)
    matrix = (
        block if lead == 1 else sparse.csr_array(sparse.kron(sparse.eye_array(lead), block, format="csr"))
    )
    return builder.affine(source, matrix, None if bias is None else np.tile(bias, lead), call)


def _batch_norm(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("input")
    mean, variance = call.constant("running_mean"), call.constant("running_var")
    if call["training"] or mean is None or variance is None:
        raise call.unsupported("it has no running statistics", "use track_running_stats=True")
    factor = 1.0 / np.sqrt(variance + float(call["eps"]))
    weight, bias = call.constant("weight"), call.constant("bias")
    if weight is not None:
        factor = factor * weight
    offset = -mean * factor if bias is None else bias - mean * factor
    repeat = math.prod(source.shape[1:])
    matrix = sparse.csr_array(sparse.diags_array(np.repeat(factor, repeat), format="csr"))
    return builder.affine(source, matrix, np.repeat(offset, repeat), call)


def _average_pool(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    flat = call.op == "avg_pool1d"
    axes = 1 if flat else 2
    kernel = _pair(call, "kernel_size", flat, 1)
    stride = kernel if not call["stride"] else _pair(call, "stride", flat, 1)
    channels = _channels(call, source, axes)
    matrix = matrices.average_pool(
        channels,
        _plane(source.shape, axes),
        kernel,
        stride,
        _pair(call, "padding", flat, 0),
        _plane(call.shape, axes),
        count_padding=bool(call["count_include_pad"]),
        divisor=None if flat else call["divisor_override"],
    )
    return builder.affine(source, matrix, None, call)


def _adaptive_average_pool(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    axes = 1 if call.op == "adaptive_avg_pool1d" else 2
    channels = _channels(call, source, axes)
    matrix = matrices.adaptive_average_pool(channels, _plane(source.shape, axes), _plane(call.shape, axes))
    return builder.affine(source, matrix, None, call)


def _reduce(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    dims = call.arguments.get("dim")
    rank = len(source.shape) + 1
    axes = sorted({int(d) % rank for d in ([dims] if isinstance(dims, int) else dims or range(rank))})
    if 0 in axes:
        raise call.unsupported("it mixes the samples of a batch", "give it the axes, without axis 0")
    matrix = matrices.reduction(source.shape, [axis - 1 for axis in axes], mean=call.op == "mean")
    return builder.affine(source, matrix, None, call)


def _plane(shape: tuple[int, ...], axes: int) -> tuple[int, int]:
    """(height, width) of the last axes; one axis counts as a plane of height 1."""
    return (shape[-2], shape[-1]) if axes == 2 else (1, shape[-1])


def _pair(call: Call, argument: str, flat: bool, neutral: int) -> tuple[int, int]:
    height, width = call.pair(argument, (neutral, neutral))
    return (neutral, width) if flat else (height, width)


def _channels(call: Call, source: Symbol, axes: int) -> int:
    if len(source.shape) != axes + 1:
        raise call.unsupported(
            f"input of shape {source.shape} without the batch axis", "give it (batch, C, ...)"
        )
    return source.shape[0]


AFFINE: Mapping[str, Handler] = MappingProxyType(
    {
        "conv1d": _convolution,
        "conv2d": _convolution,
        "linear": _linear,
        "matmul": _matmul,
        "mm": _matmul,
        "addmm": _addmm,
        "batch_norm": _batch_norm,
        "avg_pool1d": _average_pool,
        "avg_pool2d": _average_pool,
        "adaptive_avg_pool1d": _adaptive_average_pool,
        "adaptive_avg_pool2d": _adaptive_average_pool,
        "mean": _reduce,
        "sum": _reduce,
    }
)
