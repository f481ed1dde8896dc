"""The forward of one module, rewritten by torch.fx so that each activation in it is a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import fx, nn

from hetorch.compiler.frontend.graph.user_code import error_place, first_line
from hetorch.errors import UnsupportedModelError
from hetorch.train.average_pools import POOLS, max_pool
from hetorch.train.place import Place, function_name, is_activation, place_of_call

_DROPOUTS: Mapping[str, Callable[[Any], nn.Module]] = {
    "dropout": nn.Dropout,
    "dropout1d": nn.Dropout1d,
    "dropout2d": nn.Dropout2d,
    "dropout3d": nn.Dropout3d,
    "alpha_dropout": nn.AlphaDropout,
    "feature_alpha_dropout": nn.FeatureAlphaDropout,
}
"""The modules that do what the functions of these names do in training."""


def rewritten(module: nn.Module, inlined: Collection[nn.Module], path: str, calls: str) -> fx.GraphModule:
    """Return a module that computes what `module` computes, with a Place for each call of an activation in it.

    Args:
        module: the module. Those inside it stay what they are, and are shared with the result.
        inlined: modules inside it whose forward becomes part of the result, because it runs several times.
        path: where the model has the module, for messages; empty for the model itself.
        calls: the activations that its forward calls, for messages.

    Raises:
        UnsupportedModelError: torch.fx cannot trace it, or it does other things in training than in evaluation.
    """
    was_training = module.training
    try:
        graphs = []
        for training in (False, True):
            module.training = training
            graphs.append(_traced(module, inlined, path, calls))
    finally:
        module.training = was_training
    result, in_training = graphs
    if _steps(result) != _steps(in_training):
        raise UnsupportedModelError(
            f"{_named(module, path)} calls {calls}, and its forward computes other things in train() than in eval(): "
            f"{_REMEDY}"
        )
    result.training = was_training
    for node in list(result.graph.nodes):
        _replace(result, node)
    _separate_places(result)
    result.graph.eliminate_dead_code()
    result.recompile()
    return result


_REMEDY = (
    "write each as a module (self.act = nn.ReLU() in __init__, self.act(x) in forward), one for each call"
)


class _Tracer(fx.Tracer):
    """Traces the forward of one module; modules inside it are called, unless they are to be inlined."""

    def __init__(self, inlined: Collection[nn.Module]) -> None:
        super().__init__()
        self._inlined = set(inlined)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return True for a module that is called as it is."""
        return m not in self._inlined


def _traced(module: nn.Module, inlined: Collection[nn.Module], path: str, calls: str) -> fx.GraphModule:
    try:
        graph = _Tracer(inlined).trace(module)
    except Exception as error:
        raise UnsupportedModelError(
            f"{_named(module, path)} calls {calls}, and its forward cannot be traced by torch.fx"
            f"{error_place(error)}: {first_line(error)}; {_REMEDY}"
        ) from error
    return fx.GraphModule(module, graph, type(module).__name__)


def _named(module: nn.Module, path: str) -> str:
    return f"{path} ({type(module).__name__})" if path else type(module).__name__


def _steps(traced: fx.GraphModule) -> list[tuple[str, ...]]:
    """Return what a graph computes, in order, without the mode of functions of dropout."""
    return [
        (node.op, str(node.target), str(node.args), str(_without_mode(node))) for node in traced.graph.nodes
    ]


def _without_mode(node: fx.Node) -> dict[str, object]:
    dropout = function_name(node.target) in _DROPOUTS
    return {key: value for key, value in node.kwargs.items() if not (dropout and key == "training")}


def _replace(traced: fx.GraphModule, node: fx.Node) -> None:
    """Replace a node that calls an activation or a max pool as a function or a method by one that calls a module."""
    if node.op not in ("call_function", "call_method"):
        return
    function = node.target if node.op == "call_function" else getattr(torch.Tensor, str(node.target), None)
    name, rest = function_name(function), (tuple(node.args[1:]), dict(node.kwargs))
    rest[1].pop("input", None)
    if name in _DROPOUTS and node.kwargs.get("training") is False:
        # Tracing fixed its mode; the module follows train() and eval(). One that is on in eval() too stays a function.
        _put(traced, node, _DROPOUTS[name](node.kwargs.get("p", 0.5)), name)
    elif name in POOLS:
        _put(traced, node, max_pool(name, *rest), name)
    elif is_activation(function):
        place = place_of_call(function, *rest)
        if place is None:
            return
        source = node.args[0] if node.args else node.kwargs["input"]
        in_place = bool(node.kwargs.get("inplace")) or str(getattr(function, "__name__", "")).endswith("_")
        new = _put(traced, node, place, name)
        if in_place and isinstance(source, fx.Node):
            _use_result_of_in_place(source, new)


def _put(traced: fx.GraphModule, node: fx.Node, module: nn.Module, name: str) -> fx.Node:
    """Put a call of `module` in the place of `node`, and return it."""
    source = node.args[0] if node.args else node.kwargs["input"]
    path = _free_name(traced, name)
    module.train(traced.training)
    traced.add_submodule(path, module)
    with traced.graph.inserting_after(node):
        new = traced.graph.call_module(path, (source,))
    node.replace_all_uses_with(new)
    traced.graph.erase_node(node)
    return new


def _use_result_of_in_place(source: fx.Node, new: fx.Node) -> None:
    """Let what reads `source` behind a call that changed it in place read the result of the call."""
    behind, node = set(), new.next
    while node.op != "root":
        behind.add(node)
        node = node.next
    source.replace_all_uses_with(new, delete_user_cb=lambda user: user in behind)


def _separate_places(traced: fx.GraphModule) -> None:
    """Give each call of a Place a Place of its own."""
    used: set[int] = set()
    for node in traced.graph.nodes:
        if node.op != "call_module":
            continue
        place = traced.get_submodule(str(node.target))
        if not isinstance(place, Place):
            continue
        if id(place) in used:
            copy = Place(place.target, place.before, place.originals[0], link=place.link)
            node.target = _free_name(traced, str(node.target))
            copy.train(traced.training)
            traced.add_submodule(node.target, copy)
        used.add(id(traced.get_submodule(str(node.target))))


def _free_name(traced: fx.GraphModule, name: str) -> str:
    """Return a path that the module does not have yet: the name, or the name with a number."""
    taken = {path for path, _ in traced.named_modules(remove_duplicate=False)} | set(vars(traced))
    number, path = 1, name
    while path in taken or (("." not in path) and hasattr(traced, path)):
        number += 1
        path = f"{name}_{number}"
    return path
