"""The places of activations in a network: what people write there, and the function that it computes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hetorch.compiler.frontend.marks import ELEMENTWISE_MARK

NAMED: Mapping[str, str] = {"relu": "relu", "silu": "silu", "gelu": "gelu"}
"""Functions that PolyAct knows by name, if they are called without further arguments."""

_FUNCTIONS = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign"),
    *("hardswish", "hardsigmoid", "hardtanh", "sigmoid", "tanh", "logsigmoid", "tanhshrink", "softshrink"),
    *("hardshrink", "threshold", "clamp", "clamp_min", "clamp_max", "clip"),
)
"""Names of the functions of one number that are replaced, in torch, torch.nn.functional and Tensor."""
_MODULES = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
    *(nn.Softsign, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.LogSigmoid),
    *(nn.Tanhshrink, nn.Softshrink, nn.Hardshrink, nn.Threshold),
)
_LINKS = ("sigmoid", "logsigmoid")
"""Functions that turn scores into probabilities at the end of a network, where they stay exact."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A function of a tensor with its other arguments; PolyAct shows its `__name__`."""

    name: str
    function: Callable[..., Tensor]
    arguments: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, x: Tensor) -> Tensor:
        return self.function(x, *self.arguments, **self.named)

    @property
    def __name__(self) -> str:
        return self.name


class Place(nn.Module):
    """The place of one activation until its channels are known: it computes the exact function.

    `target` is the function as PolyAct takes it, `before` its text in tables, and `link` is True for a function that
    stays exact at the end of a network.
    """

    def __init__(
        self,
        target: str | Callable[[Tensor], Tensor],
        before: str,
        original: nn.Module,
        *,
        link: bool = False,
    ) -> None:
        super().__init__()
        self.target, self.before, self.link = target, before, link
        # In a tuple, so that it is no module of the network.
        self.originals = (original,)

    def forward(self, x: Tensor) -> Tensor:
        """Return the exact function of each element."""
        result: Tensor = self.originals[0](x)
        return result


class _Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return the function of each element."""
        return self.function(x)


def place_of_module(module: nn.Module) -> Place | None:
    """Return the place of a module that is an activation; None for any other module."""
    if getattr(module, ELEMENTWISE_MARK, False):
        return Place(module, type(module).__name__, module)
    if isinstance(module, nn.PReLU) and module.num_parameters == 1:
        slope = float(module.weight.detach())
        return Place(Applied("prelu", functional.leaky_relu, (slope,)), repr(module), nn.LeakyReLU(slope))
    if type(module) not in _MODULES:
        return None
    exact = copy.deepcopy(module)
    if hasattr(exact, "inplace"):
        vars(exact)["inplace"] = False
    name = type(module).__name__.lower()
    plain = name in NAMED and getattr(module, "approximate", "none") == "none"
    target: str | Callable[[Tensor], Tensor] = NAMED[name] if plain else Applied(name, exact.forward)
    return Place(target, repr(exact), exact, link=name in _LINKS)


def place_of_function(function: object) -> Place | None:
    """Return the place of a function of torch that a module keeps as an attribute; None for any other function."""
    if not callable(function) or isinstance(function, nn.Module) or not is_activation(function):
        return None
    return place_of_call(function, (), {})


def is_activation(function: object) -> bool:
    """Return True for a function or method of torch that is replaced, in place or not."""
    name = function_name(function)
    known = (
        getattr(functional, name, None),
        getattr(torch, name, None),
        getattr(Tensor, name, None),
        getattr(torch, f"{name}_", None),
        getattr(functional, f"{name}_", None),
        getattr(Tensor, f"{name}_", None),
    )
    return name in _FUNCTIONS and any(function is own or function == own for own in known)


def function_name(function: object) -> str:
    """Return the name of a function, without the underscore of one that works in place."""
    name = function if isinstance(function, str) else str(getattr(function, "__name__", ""))
    return name.rstrip("_")


def place_of_call(function: object, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Place | None:
    """Return the place of a call of an activation with these arguments behind the tensor.

    None if an argument is a tensor: the result is then no function of one number.
    """
    name = function_name(function)
    named = {key: value for key, value in named.items() if key != "inplace"}
    if any(isinstance(value, Tensor | torch.fx.Node) for value in (*arguments, *named.values())):
        return None
    if name in NAMED and named.get("approximate", "none") == "none":
        exact: nn.Module = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}[name]()
        return Place(NAMED[name], f"{name}()", exact)
    own = getattr(functional, name, None) or getattr(torch, name)
    applied = Applied(name, own, arguments, named)
    texts = [*(repr(value) for value in arguments), *(f"{key}={value!r}" for key, value in named.items())]
    return Place(applied, f"{name}({', '.join(texts)})", _Function(applied), link=name in _LINKS)
