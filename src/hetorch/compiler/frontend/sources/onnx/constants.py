"""ONNX operators that make constants or change the type of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from hetorch.compiler.frontend.sources.onnx.operands import Operation, integers
from hetorch.errors import UnsupportedModelError


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


CONSTANTS: Mapping[str, Operation] = MappingProxyType(
    {
        "Shape": _shape,
        "Constant": _constant,
        "ConstantOfShape": lambda operands, attributes, opset: np.full(
            integers(operands[0]),
            np.asarray(attributes.get("value", np.zeros(1, np.float32))).reshape(-1)[0],
        ),
        "Cast": _cast,
    }
)
