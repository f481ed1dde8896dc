"""Facts that a node of torch's graph holds about its call: the operation, its arguments by name, shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hetorch.compiler.frontend.operations.call import Shape, Symbol


def operation_name(target: Any) -> str:
    """Return the name of an operation without its overload and without the underscore of in-place forms."""
    schema = getattr(target, "_schema", None)
    name = str(schema.name.split("::")[-1]) if schema else str(getattr(target, "__name__", target))
    return name[:-1] if name.endswith("_") and not name.startswith("__") else name


def bound(target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments by the names of the operation's schema, with its defaults; without one, by position."""
    schema = getattr(target, "_schema", None)
    if schema is None:
        return {str(position): value for position, value in enumerate(args)} | dict(kwargs)
    arguments = {}
    for position, argument in enumerate(schema.arguments):
        if position < len(args):
            arguments[argument.name] = args[position]
        elif argument.name in kwargs:
            arguments[argument.name] = kwargs[argument.name]
        else:
            arguments[argument.name] = argument.default_value if argument.has_default_value() else None
    return arguments


def symbols_in(items: Any) -> list[Symbol]:
    """Return the values that will be encrypted among `items` and the lists in it, in order."""
    if isinstance(items, Symbol):
        return [items]
    if isinstance(items, (tuple, list)):
        return [symbol for item in items for symbol in symbols_in(item)]
    return []


def with_tensors(items: Any, tensors: Mapping[Symbol, torch.Tensor]) -> Any:
    """Return the same arguments with a tensor in place of each value that will be encrypted."""
    if isinstance(items, Symbol):
        return tensors[items]
    if isinstance(items, (tuple, list)):
        return type(items)(with_tensors(item, tensors) for item in items)
    if isinstance(items, dict):
        return {name: with_tensors(item, tensors) for name, item in items.items()}
    return items


def shape_of(meta: Any) -> Shape | None:
    """Return the shape of a tensor, () for anything else, None if torch did not know it while tracing."""
    if not isinstance(meta, torch.Tensor):
        return ()
    if not all(isinstance(length, int) for length in meta.shape):
        return None
    return tuple(int(length) for length in meta.shape)


def is_real(meta: Any) -> bool:
    """Return True unless the result is a tensor of whole numbers."""
    return not isinstance(meta, torch.Tensor) or meta.dtype.is_floating_point


def writes_into_parts(graph: torch.fx.Graph) -> bool:
    """Return True if an operation of the graph changes a view of another tensor, or writes into a part of a tensor.

    An operation that overwrites a whole tensor without views (`x += y`, `relu(inplace=True)`) is none of these, because
    all later nodes read its result, also when the tensor is itself the result of such an operation.
    """
    for node in graph.nodes:
        if not _is_in_place(node) or not node.all_input_nodes:
            continue
        if operation_name(node.target) in ("copy", "fill", "zero", "index_put", "scatter", "index_copy"):
            return True
        source = node.all_input_nodes[0]
        if any(_is_view(user) for user in source.users if user is not node):
            return True
        while _is_in_place(source) and source.all_input_nodes:
            source = source.all_input_nodes[0]
        if _is_view(source):
            return True
    return False


def _is_in_place(node: torch.fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def _is_view(node: torch.fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and any(argument.alias_info is not None for argument in schema.arguments)
