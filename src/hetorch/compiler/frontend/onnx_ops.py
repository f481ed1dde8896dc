"""What ONNX's operations compute, in torch; definitions: the ONNX operator schemas, version 7 and later.

Operands are tensors, or numpy arrays where they are known while tracing (shapes, axes, places).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from hetorch.errors import UnsupportedModelError

Operation = Callable[[Sequence[Any], Mapping[str, Any], int], Any]


def _tensor(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value, dtype=np.float32 if value.dtype.kind == "f" else value.dtype))
    return value


def _integers(value: Any) -> list[int]:
    if isinstance(value, torch.Tensor):
        raise UnsupportedModelError("an ONNX shape, axis or place depends on the input; it must be fixed")
    return [int(n) for n in np.asarray(value).reshape(-1)]


def _unary(
    function: Callable[..., Any], known: Callable[..., Any] | None = None, **names: tuple[str, Any]
) -> Operation:
    """A function of one operand; `names` maps its arguments to the ONNX attribute and default."""

    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        if isinstance(operands[0], np.ndarray) and known is not None:
            return known(operands[0])
        given = {name: attributes.get(attribute, default) for name, (attribute, default) in names.items()}
        return function(_tensor(operands[0]), **given)

    return run


def _binary(function: Callable[[Any, Any], Any]) -> Operation:
    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        a, b = operands
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            found = function(a, b)
            return found.astype(a.dtype) if a.dtype.kind in "iu" else found
        return function(_tensor(a), _tensor(b))

    return run


def _several(function: Callable[[Any, Any], Any]) -> Operation:
    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        total = _tensor(operands[0])
        for other in operands[1:]:
            total = function(total, _tensor(other))
        return total

    return run


def _gemm(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    a, b = operands[0], _tensor(operands[1])
    a = a.transpose(0, 1) if attributes.get("transA") else a
    b = b.transpose(0, 1) if attributes.get("transB") else b
    product = attributes.get("alpha", 1.0) * (a @ b)
    if len(operands) > 2 and operands[2] is not None:
        product = product + attributes.get("beta", 1.0) * _tensor(operands[2])
    return product


def _convolution(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, weight = operands[0], _tensor(operands[1])
    bias = _tensor(operands[2]) if len(operands) > 2 else None
    axes = weight.ndim - 2
    stride, dilation = (attributes.get(name, [1] * axes) for name in ("strides", "dilations"))
    begin, end = _padding(x, weight.shape[2:], attributes, stride, dilation)
    if begin != end:
        x, begin = F.pad(x, _pad_list(begin, end)), [0] * axes
    function = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    return function(x, weight, bias, stride, begin, dilation, attributes.get("group", 1))


def _transposed(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, weight = operands[0], _tensor(operands[1])
    bias = _tensor(operands[2]) if len(operands) > 2 else None
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


def _pad_list(begin: Sequence[int], end: Sequence[int]) -> list[int]:
    """torch.nn.functional.pad wants the last axis first."""
    return [n for pair in reversed(list(zip(begin, end, strict=True))) for n in pair]


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
        x, begin = F.pad(x, _pad_list(begin, end)), [0] * axes
    pool: Any = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[axes - 1]
    return pool(x, kernel, stride, begin, ceil, counted)


def _global(function: str) -> Operation:
    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        x = operands[0]
        axes = list(range(2, x.ndim))
        return x.mean(axes, keepdim=True) if function == "mean" else x.amax(axes, keepdim=True)

    return run


def _batch_norm(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, scale, bias, mean, variance = (_tensor(operand) for operand in operands[:5])
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, attributes.get("epsilon", 1e-5))


def _layer_norm(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    axis = attributes.get("axis", -1) % x.ndim
    bias = _tensor(operands[2]) if len(operands) > 2 else None
    return F.layer_norm(x, x.shape[axis:], _tensor(operands[1]), bias, attributes.get("epsilon", 1e-5))


def _instance_norm(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, scale, bias = (_tensor(operand) for operand in operands[:3])
    return F.instance_norm(x, None, None, scale, bias, True, 0.0, attributes.get("epsilon", 1e-5))


def _group_norm(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, scale, bias = (_tensor(operand) for operand in operands[:3])
    groups = attributes["num_groups"]
    if opset < 21:
        scale, bias = (value.repeat_interleave(x.shape[1] // groups) for value in (scale, bias))
    return F.group_norm(x, groups, scale, bias, attributes.get("epsilon", 1e-5))


def _flatten(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    axis = attributes.get("axis", 1) % (x.ndim + 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _reshape(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, shape = operands[0], _integers(operands[1])
    if not attributes.get("allowzero"):
        shape = [int(x.shape[i]) if n == 0 else n for i, n in enumerate(shape)]
    return x.reshape(shape)


def _transpose(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    order = attributes.get("perm", list(range(x.ndim))[::-1])
    return np.transpose(x, order) if isinstance(x, np.ndarray) else x.permute(order)


def _axes(operands: Sequence[Any], attributes: Mapping[str, Any]) -> list[int] | None:
    """An attribute before opset 13 (18 for reductions), an operand since."""
    if len(operands) > 1 and operands[1] is not None:
        return _integers(operands[1])
    return list(attributes["axes"]) if "axes" in attributes else None


def _squeeze(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, axes = operands[0], _axes(operands, attributes)
    if isinstance(x, np.ndarray):
        return np.squeeze(x, None if axes is None else tuple(axes))
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def _unsqueeze(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, axes = operands[0], _axes(operands, attributes) or []
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = np.expand_dims(x, axis) if isinstance(x, np.ndarray) else x.unsqueeze(axis)
    return x


def _concat(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    if all(isinstance(operand, np.ndarray) for operand in operands):
        return np.concatenate(operands, attributes["axis"])
    return torch.cat([_tensor(operand) for operand in operands], attributes["axis"])


def _split(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, axis = operands[0], attributes.get("axis", 0)
    if len(operands) > 1 and operands[1] is not None:
        return x.split(_integers(operands[1]), axis)
    if "split" in attributes:
        return x.split(list(attributes["split"]), axis)
    count = attributes.get("num_outputs", 2)
    return x.split(math.ceil(x.shape[axis] / count), axis)


def _slice(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    parts = [None if part is None else _integers(part) for part in operands[1:]]
    if not parts:
        parts = [list(attributes["starts"]), list(attributes["ends"]), attributes.get("axes")]
    starts, ends = parts[0] or [], parts[1] or []
    axes = (parts[2] if len(parts) > 2 else None) or list(range(len(starts)))
    steps = (parts[3] if len(parts) > 3 else None) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        places = list(range(*slice(start, end, step).indices(x.shape[axis])))
        x = (
            np.take(x, places, axis)
            if isinstance(x, np.ndarray)
            else x.index_select(axis, torch.tensor(places))
        )
    return x


def _gather(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, places, axis = operands[0], operands[1], attributes.get("axis", 0)
    if isinstance(places, torch.Tensor):
        raise UnsupportedModelError(
            "Gather looks up by the input (an embedding): let the client compute it and encrypt what comes out"
        )
    if isinstance(x, np.ndarray):
        return np.take(x, places, axis)
    flat = torch.from_numpy(np.asarray(places).reshape(-1) % x.shape[axis])
    found = x.index_select(axis, flat)
    axis %= x.ndim
    return found.reshape(*x.shape[:axis], *np.asarray(places).shape, *x.shape[axis + 1 :])


def _pad(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    pads = _integers(operands[1]) if len(operands) > 1 else list(attributes["pads"])
    value = attributes.get("value", 0.0)
    if len(operands) > 2 and operands[2] is not None:
        value = float(
            np.asarray(operands[2] if isinstance(operands[2], np.ndarray) else operands[2].detach())
        )
    axes = _integers(operands[3]) if len(operands) > 3 and operands[3] is not None else list(range(x.ndim))
    begin, end = [0] * x.ndim, [0] * x.ndim
    for number, axis in enumerate(axes):
        begin[axis], end[axis] = pads[number], pads[number + len(axes)]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}[
        attributes.get("mode", "constant")
    ]
    if mode == "constant":
        return F.pad(x, _pad_list(begin, end), mode, value)
    return F.pad(x, _pad_list(begin[2:], end[2:]), mode)


def _reduce(function: Callable[[Any, list[int], bool], Any]) -> Operation:
    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        x, axes = operands[0], _axes(operands, attributes)
        if not axes and attributes.get("noop_with_empty_axes"):
            return x
        return function(x, axes or list(range(x.ndim)), bool(attributes.get("keepdims", 1)))

    return run


def _softmax(function: Callable[[Any, int], Any]) -> Operation:
    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        x = operands[0]
        if opset >= 13 or x.ndim == 2:
            return function(x, attributes.get("axis", -1 if opset >= 13 else 1))
        axis = attributes.get("axis", 1) % x.ndim
        return function(x.reshape(*x.shape[:axis], -1), axis).reshape(x.shape)

    return run


def _clip(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    bounds = [attributes.get("min"), attributes.get("max")]
    for number, operand in enumerate(operands[1:3]):
        if operand is not None:
            bounds[number] = float(
                _tensor(operand).item() if isinstance(operand, np.ndarray) else operand.item()
            )
    return operands[0].clamp(bounds[0], bounds[1])


def _resize(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    mode = attributes.get("mode", "nearest")
    scales = operands[-1] if len(operands) in (2, 3) else None
    sizes = operands[3] if len(operands) > 3 else None
    if sizes is not None:
        target = _integers(sizes)[2:]
    elif scales is not None:
        factors = [
            float(s)
            for s in np.asarray(scales if isinstance(scales, np.ndarray) else scales.detach().numpy())
        ]
        target = [math.floor(n * f) for n, f in zip(x.shape[2:], factors[2:], strict=True)]
    else:
        target = [int(n * f) for n, f in zip(x.shape[2:], attributes["scales"][2:], strict=True)]
    rule = attributes.get("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest" and (
        rule == "asymmetric" or all(n % m == 0 for n, m in zip(target, x.shape[2:], strict=True))
    ):
        return F.interpolate(x, size=target, mode="nearest")
    if mode == "linear" and rule in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        kind = {1: "linear", 2: "bilinear", 3: "trilinear"}[x.ndim - 2]
        return F.interpolate(x, size=target, mode=kind, align_corners=rule == "align_corners")
    raise UnsupportedModelError(f"Resize with mode {mode} and {rule}; nearest with asymmetric works")


def _shape(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    whole = np.array([int(n) for n in operands[0].shape], dtype=np.int64)
    return whole[attributes.get("start", 0) : attributes.get("end", len(whole))]


def _constant(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if name in attributes:
            array = np.asarray(attributes[name])
            return (
                array.astype(np.float32) if array.dtype.kind == "f" and array.dtype != np.float64 else array
            )
    raise UnsupportedModelError("a Constant without a number")


def _cast(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    whole = attributes["to"] in (2, 3, 4, 5, 6, 7, 12, 13)
    if isinstance(x, np.ndarray):
        return x.astype(np.int64 if whole else np.float32)
    if whole:
        raise UnsupportedModelError("Cast of encrypted data to whole numbers; leave them real")
    return x


def _where(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    return torch.where(*(_tensor(operand) for operand in operands))


def _matmul(a: Any, b: Any) -> Any:
    return a @ b


def _prelu(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, slope = operands[0], _tensor(operands[1])
    if slope.numel() in (1, x.shape[1] if x.ndim > 1 else 1):
        return F.prelu(x, slope.reshape(-1))
    return slope * x + (1 - slope) * F.relu(x)


def _expand(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, shape = operands[0], _integers(operands[1])
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(shape)))


def _space(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int, *, deep: bool) -> Any:
    x, block = operands[0], attributes["blocksize"]
    n, c, h, w = x.shape
    if not deep:
        x = x.reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
        return x.reshape(n, c * block * block, h // block, w // block)
    if attributes.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, block)
    x = x.reshape(n, block, block, c // (block * block), h, w).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(n, c // (block * block), h * block, w * block)


def _arg_max(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    return operands[0].argmax(attributes.get("axis", 0), keepdim=bool(attributes.get("keepdims", 1)))


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "Identity": _unary(lambda x: x, lambda x: x),
        "Dropout": _unary(lambda x: x),
        "Relu": _unary(F.relu),
        "LeakyRelu": _unary(F.leaky_relu, negative_slope=("alpha", 0.01)),
        "PRelu": _prelu,
        "Elu": _unary(F.elu, alpha=("alpha", 1.0)),
        "Selu": _unary(F.selu),
        "Celu": _unary(F.celu, alpha=("alpha", 1.0)),
        "Sigmoid": _unary(torch.sigmoid),
        "HardSigmoid": lambda operands, attributes, opset: (
            attributes.get("alpha", 0.2) * operands[0] + attributes.get("beta", 0.5)
        ).clamp(0, 1),
        "HardSwish": _unary(F.hardswish),
        "Tanh": _unary(torch.tanh),
        "Softplus": _unary(F.softplus),
        "Softsign": _unary(F.softsign),
        "Gelu": _unary(F.gelu, approximate=("approximate", "none")),
        "Mish": _unary(F.mish),
        "Erf": _unary(torch.erf),
        "Exp": _unary(torch.exp),
        "Log": _unary(torch.log),
        "Sqrt": _unary(torch.sqrt, np.sqrt),
        "Abs": _unary(torch.abs),
        "Neg": _unary(torch.neg, np.negative),
        "Reciprocal": _unary(torch.reciprocal),
        "Sin": _unary(torch.sin),
        "Cos": _unary(torch.cos),
        "Clip": _clip,
        "Add": _binary(lambda a, b: a + b),
        "Sub": _binary(lambda a, b: a - b),
        "Mul": _binary(lambda a, b: a * b),
        "Div": _binary(lambda a, b: a / b),
        "Pow": _binary(lambda a, b: a ** (b.item() if isinstance(b, torch.Tensor) and b.numel() == 1 else b)),
        "MatMul": _binary(_matmul),
        "Max": _several(lambda a, b: torch.maximum(a, b)),
        "Min": _several(lambda a, b: torch.minimum(a, b)),
        "Sum": _several(lambda a, b: a + b),
        "Mean": lambda operands, attributes, opset: sum(_tensor(o) for o in operands) / len(operands),
        "Gemm": _gemm,
        "Einsum": lambda operands, attributes, opset: torch.einsum(
            attributes["equation"], *(_tensor(o) for o in operands)
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
        "Flatten": _flatten,
        "Reshape": _reshape,
        "Transpose": _transpose,
        "Squeeze": _squeeze,
        "Unsqueeze": _unsqueeze,
        "Concat": _concat,
        "Split": _split,
        "Slice": _slice,
        "Gather": _gather,
        "Pad": _pad,
        "Expand": _expand,
        "Tile": lambda operands, attributes, opset: operands[0].repeat(_integers(operands[1])),
        "ReduceMean": _reduce(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
        "ReduceSum": _reduce(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
        "ReduceMax": _reduce(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
        "ReduceMin": _reduce(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
        "ReduceSumSquare": _reduce(lambda x, axes, keep: x.square().sum(axes, keepdim=keep)),
        "ReduceL2": _reduce(lambda x, axes, keep: x.square().sum(axes, keepdim=keep).sqrt()),
        "Softmax": _softmax(lambda x, axis: x.softmax(axis)),
        "LogSoftmax": _softmax(lambda x, axis: x.log_softmax(axis)),
        "ArgMax": _arg_max,
        "Resize": _resize,
        "Upsample": _resize,
        "Shape": _shape,
        "Constant": _constant,
        "ConstantOfShape": lambda operands, attributes, opset: np.full(
            _integers(operands[0]),
            np.asarray(attributes.get("value", np.zeros(1, np.float32))).reshape(-1)[0],
        ),
        "Cast": _cast,
        "Where": _where,
        "DepthToSpace": lambda operands, attributes, opset: _space(operands, attributes, opset, deep=True),
        "SpaceToDepth": lambda operands, attributes, opset: _space(operands, attributes, opset, deep=False),
    }
)
"""By the name of the operator."""
