"""Operands of ONNX operators, and the operators that are one function of their operands.

An operand is a tensor, or a numpy array if it is known while tracing (shapes, axes, indices).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hetorch.errors import UnsupportedModelError

Operation = Callable[[Sequence[Any], Mapping[str, Any], int], Any]
"""Compute an operator from its operands, its attributes by name, and the version of the operator set."""


def tensor(value: Any) -> Any:
    """Return an operand as a tensor; floating-point arrays become float32."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value, dtype=np.float32 if value.dtype.kind == "f" else value.dtype))
    return value


def integers(value: Any) -> list[int]:
    """Return an operand of whole numbers, such as a shape; an UnsupportedModelError if it depends on the input."""
    if isinstance(value, torch.Tensor):
        raise UnsupportedModelError("an ONNX shape, axis or place depends on the input; it must be fixed")
    return [int(n) for n in np.asarray(value).reshape(-1)]


def axes_of(operands: Sequence[Any], attributes: Mapping[str, Any]) -> list[int] | None:
    """Return the axes: an attribute before operator set 13 (18 for reductions), the second operand since then."""
    if len(operands) > 1 and operands[1] is not None:
        return integers(operands[1])
    return list(attributes["axes"]) if "axes" in attributes else None


def unary(
    function: Callable[..., Any], known: Callable[..., Any] | None = None, **names: tuple[str, Any]
) -> Operation:
    """Return the operator that applies `function`, or `known` to an array.

    `names` maps arguments of the function to the ONNX attribute and its default.
    """

    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        if isinstance(operands[0], np.ndarray) and known is not None:
            return known(operands[0])
        options = {name: attributes.get(attribute, default) for name, (attribute, default) in names.items()}
        return function(tensor(operands[0]), **options)

    return run


def binary(function: Callable[[Any, Any], Any]) -> Operation:
    """Return the operator that applies a function to two operands; of two whole-number arrays the result is whole."""

    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        a, b = operands
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            result = function(a, b)
            return result.astype(a.dtype) if a.dtype.kind in "iu" else result
        return function(tensor(a), tensor(b))

    return run


def several(function: Callable[[Any, Any], Any]) -> Operation:
    """Return the operator that folds a function of two operands over any number of them."""

    def run(operands: Sequence[Any], attributes: Mapping[str, Any], opset: int) -> Any:
        total = tensor(operands[0])
        for other in operands[1:]:
            total = function(total, tensor(other))
        return total

    return run


def pad_list(begin: Sequence[int], end: Sequence[int]) -> list[int]:
    """Return the padding as torch.nn.functional.pad takes it: a pair an axis, the last axis first."""
    return [n for pair in reversed(list(zip(begin, end, strict=True))) for n in pair]
