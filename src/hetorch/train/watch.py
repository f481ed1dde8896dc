"""One run of a model on example inputs: which modules call activations, how often, and on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from hetorch.train.average_pools import AVERAGES, POOLS
from hetorch.train.place import Place, function_name, is_activation, place_of_call
from hetorch.train.recorded_range import RecordedRange

_LAST_AXIS = (nn.Linear, nn.LayerNorm)
"""Modules whose channels are on the last axis of what they return."""


@dataclass(frozen=True, slots=True)
class Event:
    """One call of an activation: `callers` are the modules that run, outermost first, and `name` is the function, or
    empty where `place` was called."""

    callers: tuple[nn.Module, ...]
    name: str
    place: Place | None = None


@dataclass(slots=True)
class Watched:
    """What a run showed. `shapes` and `axes` have the input of each place and the axis of its channels, and `outputs`
    the tensors that the model returned; `at_output` are the places whose result is one of them."""

    calls: Counter[nn.Module] = field(default_factory=Counter)
    events: list[Event] = field(default_factory=list)
    shapes: dict[Place, tuple[int, ...]] = field(default_factory=dict)
    axes: dict[Place, int] = field(default_factory=dict)
    at_output: set[Place] = field(default_factory=set)
    outputs: tuple[Tensor, ...] = ()


def watch(model: nn.Module, inputs: tuple[Any, ...]) -> Watched:
    """Run a model in eval() without gradients, and return what was seen. Its mode is kept.

    An exception of the model passes through.
    """
    seen = Watched()
    stack: list[nn.Module] = []
    last_axis: dict[int, Tensor] = {}
    results: list[tuple[Place, Tensor]] = []

    def before(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        seen.calls[module] += 1
        if isinstance(module, Place):
            seen.events.append(Event(tuple(stack), "", module))
            x = arguments[0]
            seen.shapes[module] = tuple(x.shape)
            seen.axes[module] = x.dim() - 1 if x.dim() <= 2 or id(x) in last_axis else 1
        stack.append(module)

    def after(module: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
        stack.pop()
        if isinstance(module, _LAST_AXIS) and isinstance(result, Tensor):
            last_axis[id(result)] = result  # kept, so that no other tensor gets its id
        if isinstance(module, Place):
            results.append((module, result))

    def called(function: object, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        name = function_name(function)
        replaceable = name in POOLS or (
            is_activation(function) and place_of_call(function, arguments[1:], named) is not None
        )
        own = any(isinstance(part, (Place, RecordedRange, *AVERAGES)) for part in stack)
        if replaceable and not own:
            seen.events.append(Event(tuple(stack), name))

    with _hooked(model, before, after), _evaluating(model), torch.no_grad(), _Functions(called):
        output = model(*inputs)
    seen.outputs = tuple(leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor))
    ends = {tensor.untyped_storage().data_ptr() for tensor in seen.outputs}
    seen.at_output = {place for place, result in results if result.untyped_storage().data_ptr() in ends}
    return seen


class _Functions(TorchFunctionMode):
    """Tells `called` each function of torch that is called from Python."""

    def __init__(self, called: Callable[[object, tuple[Any, ...], Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._called = called

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Tell the function, and call it."""
        self._called(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


@contextmanager
def _hooked(model: nn.Module, before: Any, after: Any) -> Iterator[None]:
    handles = []
    for module in model.modules():
        handles.append(module.register_forward_pre_hook(before))
        handles.append(module.register_forward_hook(after, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
