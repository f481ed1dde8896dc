"""ONNX operators that move elements: reshaping, joining, slicing, padding and resizing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from hetorch.compiler.frontend.sources.onnx.operands import Operation, axes_of, integers, pad_list, tensor
from hetorch.errors import UnsupportedModelError


def _flatten(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    axis = attributes.get("axis", 1) % (x.ndim + 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _reshape(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, shape = operands[0], integers(operands[1])
    if not attributes.get("allowzero"):
        shape = [int(x.shape[i]) if n == 0 else n for i, n in enumerate(shape)]
    return x.reshape(shape)


def _transpose(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    order = attributes.get("perm", list(range(x.ndim))[::-1])
    return np.transpose(x, order) if isinstance(x, np.ndarray) else x.permute(order)


def _squeeze(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, axes = operands[0], axes_of(operands, attributes)
    if isinstance(x, np.ndarray):
        return np.squeeze(x, None if axes is None else tuple(axes))
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def _unsqueeze(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, axes = operands[0], axes_of(operands, attributes) or []
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = np.expand_dims(x, axis) if isinstance(x, np.ndarray) else x.unsqueeze(axis)
    return x


def _concat(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    if all(isinstance(operand, np.ndarray) for operand in operands):
        return np.concatenate(operands, attributes["axis"])
    return torch.cat([tensor(operand) for operand in operands], attributes["axis"])


def _split(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, axis = operands[0], attributes.get("axis", 0)
    if len(operands) > 1 and operands[1] is not None:
        return x.split(integers(operands[1]), axis)
    if "split" in attributes:
        return x.split(list(attributes["split"]), axis)
    count = attributes.get("num_outputs", 2)
    return x.split(math.ceil(x.shape[axis] / count), axis)


def _slice(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    parts = [None if part is None else integers(part) for part in operands[1:]]
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
    chosen = x.index_select(axis, flat)
    axis %= x.ndim
    return chosen.reshape(*x.shape[:axis], *np.asarray(places).shape, *x.shape[axis + 1 :])


def _pad(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    pads = integers(operands[1]) if len(operands) > 1 else list(attributes["pads"])
    value = attributes.get("value", 0.0)
    if len(operands) > 2 and operands[2] is not None:
        value = float(
            np.asarray(operands[2] if isinstance(operands[2], np.ndarray) else operands[2].detach())
        )
    axes = integers(operands[3]) if len(operands) > 3 and operands[3] is not None else list(range(x.ndim))
    begin, end = [0] * x.ndim, [0] * x.ndim
    for number, axis in enumerate(axes):
        begin[axis], end[axis] = pads[number], pads[number + len(axes)]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}[
        attributes.get("mode", "constant")
    ]
    if mode == "constant":
        return F.pad(x, pad_list(begin, end), mode, value)
    return F.pad(x, pad_list(begin[2:], end[2:]), mode)


def _expand(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, shape = operands[0], integers(operands[1])
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


def _resize(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x = operands[0]
    mode = attributes.get("mode", "nearest")
    scales = operands[-1] if len(operands) in (2, 3) else None
    sizes = operands[3] if len(operands) > 3 else None
    if sizes is not None:
        target = integers(sizes)[2:]
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


MOVEMENT: Mapping[str, Operation] = MappingProxyType(
    {
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
        "Tile": lambda operands, attributes, opset: operands[0].repeat(integers(operands[1])),
        "Resize": _resize,
        "Upsample": _resize,
        "DepthToSpace": lambda operands, attributes, opset: _space(operands, attributes, opset, deep=True),
        "SpaceToDepth": lambda operands, attributes, opset: _space(operands, attributes, opset, deep=False),
    }
)
