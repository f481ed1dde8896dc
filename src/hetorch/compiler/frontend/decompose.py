"""Operations that no handler reads: as a function of one number if that is what they are, else as the simpler
operations that torch itself takes them apart into."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from hetorch.compiler.frontend.builder import Array, Builder, Call, Refusal, Symbol
from hetorch.compiler.frontend.nodes import bound, is_real, operation_name, shape_of, symbols_in, with_tensors

Handlers = Mapping[str, Callable[[Builder, Call], Any]]
MOST_PARTS = 64
"""Operations that one may fall into; what falls into more (a loop over elements) is no operation to convert so."""


def one_number(builder: Builder, call: Call) -> Symbol | None:
    """The operation as an activation, if each element of its result depends on the same element of one argument and on
    numbers; else None."""
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
        # A copy: the operation may write into what it is given.
        given = torch.from_numpy(np.array(x, dtype=np.float64, order="C"))
        return np.asarray(target(**{**arguments, name: given}).numpy())

    return builder.activation(source, call.op, (), call, definition)


def in_parts(builder: Builder, call: Call, handlers: Handlers) -> Any:
    """The result of the operations into which torch takes this one apart, or None if it does not. Refusal if one of
    them cannot be computed."""
    symbols = list(dict.fromkeys(symbols_in(list(call.arguments.values()))))
    graph = _traced(call, symbols, handlers)
    if graph is None:
        return None
    calls = [node for node in graph.graph.nodes if node.op == "call_function"]
    unknown = [
        n for n in calls if n.target is not operator.getitem and operation_name(n.target) not in handlers
    ]
    if len(calls) > MOST_PARTS or any(operation_name(node.target) == call.op for node in unknown):
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
            values[node.name] = _part(builder, call, node, args, kwargs, handlers)
    return None


def _part(builder: Builder, call: Call, node: Any, args: Any, kwargs: Any, handlers: Handlers) -> Any:
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
    if op not in handlers:
        found = one_number(builder, part)
        if found is not None:
            return found
        raise call.unsupported(
            f"its part {op} cannot be computed on encrypted data", "write it with what works"
        )
    try:
        return handlers[op](builder, part)
    except Refusal as refusal:
        raise call.unsupported(f"its part {op}: {refusal.problem}", refusal.nearest) from None


def _traced(call: Call, symbols: list[Symbol], handlers: Handlers) -> torch.fx.GraphModule | None:
    tensors = [value for value in call.arguments.values() if isinstance(value, torch.Tensor)]
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.float64)
    known: Any = torch.export.default_decompositions()
    table = {op: how for op, how in known.items() if operation_name(op) not in handlers}

    def run(*values: torch.Tensor) -> Any:
        return call.target(**with_tensors(dict(call.arguments), dict(zip(symbols, values, strict=True))))

    try:
        # Ones, so that what is checked about values (denominators) holds.
        return make_fx(run, decomposition_table=table)(*(torch.ones(s.shape, dtype=dtype) for s in symbols))
    except Exception:
        return None
