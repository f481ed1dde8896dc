"""ONNX operators with weights or windows: products, convolutions, pools and normalisations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F

from hetorch.compiler.frontend.sources.onnx.operands import Operation, binary, pad_list, tensor
from hetorch.errors import UnsupportedModelError


def _matmul(a: Any, b: Any) -> Any:
    return a @ b


def _gemm(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    a, b = operands[0], tensor(operands[1])
    a = a.transpose(0, 1) if attributes.get("transA") else a
    b = b.transpose(0, 1) if attributes.get("transB") else b
    product = attributes.get("alpha", 1.0) * (a @ b)
    if len(operands) > 2 and operands[2] is not None:
        product = product + attributes.get("beta", 1.0) * tensor(operands[2])
    return product


def _convolution(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, weight = operands[0], tensor(operands[1])
    bias = tensor(operands[2]) if len(operands) > 2 else None
    axes = weight.ndim - 2
    stride, dilation = (attributes.get(name, [1] * axes) for name in ("strides", "dilations"))
    begin, end = _padding(x, weight.shape[2:], attributes, stride, dilation)
    if begin != end:
        x, begin = F.pad(x, pad_list(begin, end)), [0] * axes
    function = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    return function(x, weight, bias, stride, begin, dilation, attributes.get("group", 1))


def _transposed(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, weight = operands[0], tensor(operands[1])
    bias = tensor(operands[2]) if len(operands) > 2 else None
    axes = weight.ndim - 2
    pads = attributes.get("pads", [0] * 2 * axes)
    extra = attributes.get("output_padding", [0] * axes)
    if (
        attributes.get("auto_pad", "NOTSET") != "NOTSET"
        or "output_shape" in attributes
        or pads[:axes] != pads[axes:]
    ):
        raise UnsupportedModelError("ConvTranspose with unequal or automatic padding; give equal pads")
    stride, dilation = (attributes.get(name, [1] * axes) for name in ("strides", "dilations"))
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
    return function(x, weight, bias, stride, pads[:axes], extra, attributes.get("group", 1), dilation)


def _padding(
    x: Any,
    kernel: Sequence[int],
    attributes: Mapping[str, Any],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[list[int], list[int]]:
    axes = len(kernel)
    mode = attributes.get("auto_pad", "NOTSET")
    if mode in ("NOTSET", "VALID"):
        pads = list(attributes.get("pads", [0] * 2 * axes)) if mode == "NOTSET" else [0] * 2 * axes
        return pads[:axes], pads[axes:]
    begin, end = [], []
    for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True):
        total = max((math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0)
        small, large = total // 2, total - total // 2
        begin.append(small if mode == "SAME_UPPER" else large)
        end.append(large if mode == "SAME_UPPER" else small)
    return begin, end


def _pool(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int, *, largest: bool) -> Any:
    x, kernel = operands[0], list(attributes["kernel_shape"])
    axes = len(kernel)
    stride = attributes.get("strides", [1] * axes)
    dilation = attributes.get("dilations", [1] * axes)
    begin, end = _padding(x, kernel, attributes, stride, dilation)
    ceil = bool(attributes.get("ceil_mode", 0))
    if largest:
        if begin != end:
            raise UnsupportedModelError("MaxPool with unequal padding; give equal pads")
        return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[axes - 1](x, kernel, stride, begin, dilation, ceil)
    counted = bool(attributes.get("count_include_pad", 0))
    if any(d != 1 for d in dilation) or (begin != end and not counted):
        raise UnsupportedModelError("AveragePool with dilation or unequal padding; give equal pads")
    if begin != end:
        x, begin = F.pad(x, pad_list(begin, end)), [0] * axes
    pool: Any = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[axes - 1]
    return pool(x, kernel, stride, begin, ceil, counted)


def _global(function: str) -> Operation:
    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        x = operands[0]
        axes = list(range(2, x.ndim))
        return x.mean(axes, keepdim=True) if function == "mean" else x.amax(axes, keepdim=True)

    return run


def _batch_norm(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, scale, bias, mean, variance = (tensor(operand) for operand in operands[:5])
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, attributes.get("epsilon", 1e-5))


def _layer_norm(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    axis = attributes.get("axis", -1) % x.ndim
    bias = tensor(operands[2]) if len(operands) > 2 else None
    return F.layer_norm(x, x.shape[axis:], tensor(operands[1]), bias, attributes.get("epsilon", 1e-5))


def _instance_norm(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, scale, bias = (tensor(operand) for operand in operands[:3])
    return F.instance_norm(x, None, None, scale, bias, True, 0.0, attributes.get("epsilon", 1e-5))


def _group_norm(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, scale, bias = (tensor(operand) for operand in operands[:3])
    groups = attributes["num_groups"]
    if opset < 21:
        scale, bias = (value.repeat_interleave(x.shape[1] // groups) for value in (scale, bias))
    return F.group_norm(x, groups, scale, bias, attributes.get("epsilon", 1e-5))


LAYERS: Mapping[str, Operation] = MappingProxyType(
    {
        "MatMul": binary(_matmul),
        "Gemm": _gemm,
        "Einsum": lambda operands, attributes, opset: torch.einsum(
            attributes["equation"], *(tensor(o) for o in operands)
        ),
        "Conv": _convolution,
        "ConvTranspose": _transposed,
        "AveragePool": lambda operands, attributes, opset: _pool(operands, attributes, opset, largest=False),
        "MaxPool": lambda operands, attributes, opset: _pool(operands, attributes, opset, largest=True),
        "GlobalAveragePool": _global("mean"),
        "GlobalMaxPool": _global("max"),
        "BatchNormalization": _batch_norm,
        "LayerNormalization": _layer_norm,
        "InstanceNormalization": _instance_norm,
        "GroupNormalization": _group_norm,
    }
)
