"""The table of ONNX operators, as the operator schemas of version 7 and later define them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hetorch.compiler.frontend.sources.onnx.arithmetic import ARITHMETIC
from hetorch.compiler.frontend.sources.onnx.constants import CONSTANTS
from hetorch.compiler.frontend.sources.onnx.layers import LAYERS
from hetorch.compiler.frontend.sources.onnx.movement import MOVEMENT
from hetorch.compiler.frontend.sources.onnx.operands import Operation

OPERATORS: Mapping[str, Operation] = MappingProxyType({**ARITHMETIC, **CONSTANTS, **LAYERS, **MOVEMENT})
"""Functions that compute an operator, by its name."""
