"""The memory that the layers of a network take to compile, known before a matrix is written.

Without this, a large network would fill the memory for minutes before it is refused.
"""

from __future__ import annotations

import math

import torch

from hetorch.compiler.frontend.graph.nodes import bound, operation_name, shape_of
from hetorch.errors import UnsupportedModelError
from hetorch.ir.analysis import Analysis
from hetorch.ir.matrix_memory import SMALLER, too_large

CONVOLUTIONS = frozenset(
    f"conv{transposed}{axes}d" for transposed in ("", "_transpose") for axes in (1, 2, 3)
)


def check_layer_memory(exported: torch.export.ExportedProgram, name: str) -> None:
    """Raise UnsupportedModelError if the matrices of all layers do not fit into the memory that is available.

    `name`: the name of the model, for the message.
    """
    weights = {node: layer_weights(node) for node in exported.graph.nodes if node.op == "call_function"}
    problem = too_large(list(weights.values()))
    if problem is None:
        return
    largest = max(weights, key=lambda node: weights[node])
    pixels = (
        f" (a convolution has its weights once for each pixel of its result: {_path(largest)} has {weights[largest]})"
        if operation_name(largest.target) in CONVOLUTIONS
        else ""
    )
    message = f"{name}: {problem}; {SMALLER}{pixels}"
    raise UnsupportedModelError(message, Analysis(name, (), message))


def layer_weights(node: torch.fx.Node) -> int:
    """Return the number of weights of a layer's matrix, which has a row for each element of the result; 0 for any other
    operation."""
    op = operation_name(node.target)
    if op not in CONVOLUTIONS and op != "linear":
        return 0
    arguments = bound(node.target, node.args, node.kwargs)
    source, weight = (
        shape_of(part.meta.get("val")) if isinstance(part, torch.fx.Node) else None
        for part in (arguments["input"], arguments["weight"])
    )
    result = shape_of(node.meta.get("val"))
    if source is None or weight is None or result is None:
        return 0
    if op == "linear":
        return math.prod(result[:-1]) * math.prod(weight)
    pixels = source[2:] if "transpose" in op else result[2:]
    return source[0] * math.prod(pixels) * math.prod(weight)


def _path(node: torch.fx.Node) -> str:
    """Return the path of the module that makes the call, or the name of a call without one."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack and stack[-1][0] else node.name
