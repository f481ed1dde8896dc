"""ONNX operators on elements: functions, arithmetic, choices, reductions and softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from hetorch.compiler.frontend.sources.onnx.operands import Operation, axes_of, binary, several, tensor, unary


def _reduce(function: Callable[[Any, list[int], bool], Any]) -> Operation:
    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        x, axes = operands[0], axes_of(operands, attributes)
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
                tensor(operand).item() if isinstance(operand, np.ndarray) else operand.item()
            )
    return operands[0].clamp(bounds[0], bounds[1])


def _prelu(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    x, slope = operands[0], tensor(operands[1])
    if slope.numel() in (1, x.shape[1] if x.ndim > 1 else 1):
        return F.prelu(x, slope.reshape(-1))
    return slope * x + (1 - slope) * F.relu(x)


def _arg_max(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    return operands[0].argmax(attributes.get("axis", 0), keepdim=bool(attributes.get("keepdims", 1)))


def _where(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
    return torch.where(*(tensor(operand) for operand in operands))


ARITHMETIC: Mapping[str, Operation] = MappingProxyType(
    {
        "Identity": unary(lambda x: x, lambda x: x),
        "Dropout": unary(lambda x: x),
        "Relu": unary(F.relu),
        "LeakyRelu": unary(F.leaky_relu, negative_slope=("alpha", 0.01)),
        "PRelu": _prelu,
        "Elu": unary(F.elu, alpha=("alpha", 1.0)),
        "Selu": unary(F.selu),
        "Celu": unary(F.celu, alpha=("alpha", 1.0)),
        "Sigmoid": unary(torch.sigmoid),
        "HardSigmoid": lambda operands, attributes, opset: (
            attributes.get("alpha", 0.2) * operands[0] + attributes.get("beta", 0.5)
        ).clamp(0, 1),
        "HardSwish": unary(F.hardswish),
        "Tanh": unary(torch.tanh),
        "Softplus": unary(F.softplus),
        "Softsign": unary(F.softsign),
        "Gelu": unary(F.gelu, approximate=("approximate", "none")),
        "Mish": unary(F.mish),
        "Erf": unary(torch.erf),
        "Exp": unary(torch.exp),
        "Log": unary(torch.log),
        "Sqrt": unary(torch.sqrt, np.sqrt),
        "Abs": unary(torch.abs),
        "Neg": unary(torch.neg, np.negative),
        "Reciprocal": unary(torch.reciprocal),
        "Sin": unary(torch.sin),
        "Cos": unary(torch.cos),
        "Clip": _clip,
        "Add": binary(lambda a, b: a + b),
        "Sub": binary(lambda a, b: a - b),
        "Mul": binary(lambda a, b: a * b),
        "Div": binary(lambda a, b: a / b),
        "Pow": binary(lambda a, b: a ** (b.item() if isinstance(b, torch.Tensor) and b.numel() == 1 else b)),
        "Max": several(lambda a, b: torch.maximum(a, b)),
        "Min": several(lambda a, b: torch.minimum(a, b)),
        "Sum": several(lambda a, b: a + b),
        "Mean": lambda operands, attributes, opset: sum(tensor(o) for o in operands) / len(operands),
        "ReduceMean": _reduce(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
        "ReduceSum": _reduce(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
        "ReduceMax": _reduce(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
        "ReduceMin": _reduce(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
        "ReduceSumSquare": _reduce(lambda x, axes, keep: x.square().sum(axes, keepdim=keep)),
        "ReduceL2": _reduce(lambda x, axes, keep: x.square().sum(axes, keepdim=keep).sqrt()),
        "Softmax": _softmax(lambda x, axis: x.softmax(axis)),
        "LogSoftmax": _softmax(lambda x, axis: x.log_softmax(axis)),
        "ArgMax": _arg_max,
        "Where": _where,
    }
)
