"""The operations of HE programs; each class defines its levels, scales, fields, weights, keys, memory and meaning."""

from __future__ import annotations

from hetorch.ir.he_operations.affine import AddBias, RotateAdd
from hetorch.ir.he_operations.arithmetic import Add, DropLevel, Multiply, Rescale
from hetorch.ir.he_operations.bootstrap import Bootstrap
from hetorch.ir.he_operations.linear_transform import LinearTransform, PairedTransform
from hetorch.ir.he_operations.operation import NO_LAYOUT, Operation, Value, operation_kinds
from hetorch.ir.he_operations.polynomial import Polynomial

__all__ = [
    "NO_LAYOUT",
    "Add",
    "AddBias",
    "Bootstrap",
    "DropLevel",
    "LinearTransform",
    "Multiply",
    "Operation",
    "PairedTransform",
    "Polynomial",
    "Rescale",
    "RotateAdd",
    "Value",
    "operation_kinds",
]
