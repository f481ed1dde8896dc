"""Operations without a handler: an element-wise one becomes an activation, any other one is replaced by the simpler
operations into which torch decomposes it."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from hetorch.compiler.frontend.graph.nodes import (
    bound,
    is_real,
    operation_name,
    shape_of,
    symbols_in,
    with_tensors,
)
from hetorch.compiler.frontend.operations.builder import Builder
from hetorch.compiler.frontend.operations.call import Array, Call, Refusal, Symbol
from hetorch.compiler.frontend.operations.handlers import HANDLERS

MAX_PARTS = 64
"""Largest number of operations that one may be decomposed into; more of them are a loop over elements, whose program
would be far too deep or long."""


def as_activation(builder: Builder, call: Call) -> Symbol | None:
    """Return the operation as an activation if each element of its result depends on the same element of one argument
    and on plain numbers; else None."""
    encrypted = [name for name, value in call.arguments.items() if isinstance(value, Symbol)]
    others = [value for name, value in call.arguments.items() if name not in encrypted]
    if len(encrypted) != 1 or torch.Tag.pointwise not in getattr(call.target, "tags", ()) or not call.real:
        return None
    if not all(value is None or isinstance(value, (bool, int, float, str)) for value in others):
        return None
    (name,) = encrypted
    source = call.symbol(name)
    target, arguments = call.target, dict(call.arguments)

    def definition(x: Array) -> Array:
        # A copy, because the operation may write into its argument.
        copied = torch.from_numpy(np.array(x, dtype=np.float64, order="C"))
        return np.asarray(target(**{**arguments, name: copied}).numpy())

    return builder.activation(source, call.op, (), call, definition)


def decomposed(builder: Builder, call: Call) -> Any:
    """Return the result of the operations into which torch decomposes this one, or None if it does not.

    Raises:
        Refusal: one of these operations cannot be computed.
    """
    symbols = list(dict.fromkeys(symbols_in(list(call.arguments.values()))))
    graph = _traced(call, symbols)
    if graph is None:
        return None
    calls = [node for node in graph.graph.nodes if node.op == "call_function"]
    unknown = [
        n for n in calls if n.target is not operator.getitem and operation_name(n.target) not in HANDLERS
    ]
    if len(calls) > MAX_PARTS or any(operation_name(node.target) == call.op for node in unknown):
        return None
    values: dict[str, Any] = {}
    left = iter(symbols)
    for node in graph.graph.nodes:
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: values[n.name])
        if node.op == "placeholder":
            values[node.name] = next(left)
        elif node.op == "get_attr":
            values[node.name] = getattr(graph, str(node.target))
        elif node.op == "output":
            return tuple(args[0]) if isinstance(args[0], list) else args[0]
        else:
            values[node.name] = _part(builder, call, node, args, kwargs)
    return None


def _part(builder: Builder, call: Call, node: Any, args: Any, kwargs: Any) -> Any:
    if not symbols_in([args, list(kwargs.values())]):
        return node.target(*args, **kwargs)
    if node.target is operator.getitem and isinstance(args[0], tuple):
        return args[0][args[1]]
    meta = node.meta.get("val")
    several = tuple(shape_of(item) or () for item in meta) if isinstance(meta, (tuple, list)) else ()
    op = operation_name(node.target)
    part = replace(
        call, target=node.target, op=op, arguments=bound(node.target, args, kwargs), shape=shape_of(meta) or (),
        shapes=several, real=is_real(meta),
    )  # fmt: skip
    if op not in HANDLERS:
        result = as_activation(builder, part)
        if result is not None:
            return result
        raise call.unsupported(
            f"its part {op} cannot be computed on encrypted data", "write it with what works"
        )
    try:
        return HANDLERS[op](builder, part)
    except Refusal as refusal:
        raise call.unsupported(f"its part {op}: {refusal.problem}", refusal.nearest) from None


def _traced(call: Call, symbols: list[Symbol]) -> torch.fx.GraphModule | None:
    tensors = [value for value in call.arguments.values() if isinstance(value, torch.Tensor)]
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.float64)
    known: Any = torch.export.default_decompositions()
    table = {op: how for op, how in known.items() if operation_name(op) not in HANDLERS}

    def run(*values: torch.Tensor) -> Any:
        return call.target(**with_tensors(dict(call.arguments), dict(zip(symbols, values, strict=True))))

    try:
        # Ones, so that an operation that checks its arguments (a denominator) accepts them.
        return make_fx(run, decomposition_table=table)(*(torch.ones(s.shape, dtype=dtype) for s in symbols))
    except Exception:
        return None
