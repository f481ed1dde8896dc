"""Convolutions, transposed convolutions and average pools, along any number of spatial axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from scipy import sparse

from hetorch.compiler.frontend.operations import matrices
from hetorch.compiler.frontend.operations.builder import Builder, Handler
from hetorch.compiler.frontend.operations.call import Array, Call, Symbol


def _convolution(builder: Builder, call: Call) -> Symbol:
    source, weight, bias = call.symbol("input"), call.constant("weight"), call.constant("bias")
    assert weight is not None
    axes = weight.ndim - 2
    samples = _samples(call, source, axes)
    if call.arguments.get("transposed"):
        return _transposed(builder, call)
    size, output, kernel = source.shape[-axes:], call.shape[-axes:], weight.shape[2:]
    stride, dilation = (call.integers(name, axes, 1) for name in ("stride", "dilation"))
    if call["padding"] == "same":
        # torch pads (total // 2) before and the rest after; only "before" matters to the windows.
        padding = [d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True)]
    elif call["padding"] == "valid":
        padding = [0] * axes
    else:
        padding = call.integers("padding", axes, 0)
    call.check_memory(weight.size * math.prod(output))
    matrix = matrices.convolution(weight, size, stride, padding, dilation, int(call["groups"]), output)
    return _per_sample(builder, call, source, matrix, bias, samples, math.prod(output))


def _transposed(builder: Builder, call: Call) -> Symbol:
    source, weight, bias = call.symbol("input"), call.constant("weight"), call.constant("bias")
    assert weight is not None
    axes = weight.ndim - 2
    samples = _samples(call, source, axes)
    size, output = source.shape[-axes:], call.shape[-axes:]
    stride, dilation = (call.integers(name, axes, 1) for name in ("stride", "dilation"))
    padding = call.integers("padding", axes, 0)
    # The matrix is the transpose of the convolution that maps the result to the source; `output` includes
    # output_padding.
    call.check_memory(weight.size * math.prod(size))
    forward = matrices.convolution(weight, output, stride, padding, dilation, int(call["groups"]), size)
    matrix = sparse.csr_array(forward.T.tocsr())
    return _per_sample(builder, call, source, matrix, bias, samples, math.prod(output))


def _average_pool(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    axes = int(call.op[-2])
    channels = _samples(call, source, axes) * source.shape[-axes - 1]
    kernel = call.integers("kernel_size", axes, 1)
    matrix = matrices.average_pool(
        channels,
        source.shape[-axes:],
        kernel,
        call.integers("stride", axes, 1) if call["stride"] else kernel,
        call.integers("padding", axes, 0),
        call.shape[-axes:],
        count_padding=bool(call["count_include_pad"]),
        divisor=call.arguments.get("divisor_override"),
    )
    return builder.affine(source, matrix, None, call)


def _adaptive_average_pool(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    axes = int(call.op[-2])
    channels = _samples(call, source, axes) * source.shape[-axes - 1]
    matrix = matrices.adaptive_average_pool(channels, source.shape[-axes:], call.shape[-axes:])
    return builder.affine(source, matrix, None, call)


def _samples(call: Call, source: Symbol, axes: int) -> int:
    """Return the length of the axis before the channels: the number of images in one sample."""
    if len(source.shape) != axes + 2:
        raise call.unsupported(
            f"input of shape {source.shape} without the batch axis", "give it (batch, C, ...)"
        )
    return source.shape[0]


def _per_sample(
    builder: Builder,
    call: Call,
    source: Symbol,
    matrix: sparse.csr_array,
    bias: Array | None,
    samples: int,
    places: int,
) -> Symbol:
    offset = None if bias is None else np.tile(np.repeat(bias, places), samples)
    return builder.affine(source, matrices.repeated(matrix, samples), offset, call)


CONVOLUTION: Mapping[str, Handler] = MappingProxyType(
    {f"conv{n}d": _convolution for n in (1, 2, 3)}
    | {f"conv_transpose{n}d": _transposed for n in (1, 2, 3)}
    | {f"avg_pool{n}d": _average_pool for n in (1, 2, 3)}
    | {f"{core}adaptive_avg_pool{n}d": _adaptive_average_pool for core in ("", "_") for n in (1, 2, 3)}
    | {"convolution": _convolution}
)
