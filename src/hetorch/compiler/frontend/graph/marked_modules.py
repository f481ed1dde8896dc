"""Modules with a mark: the user's hetorch.elementwise and hetorch.approximate, and those of hetorch.train."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.graph.nodes import shape_of
from hetorch.compiler.frontend.graph.trained_modules import definition_of, polynomial_of, range_of
from hetorch.compiler.frontend.graph.user_code import first_line
from hetorch.compiler.frontend.marks import ELEMENTWISE_MARK, RANGE_MARK, WISH_MARK
from hetorch.compiler.frontend.operations.alternatives import WORKS
from hetorch.compiler.frontend.operations.builder import Builder
from hetorch.compiler.frontend.operations.call import Array, Call, Symbol
from hetorch.ir.tensor_program import Wish


class MarkedModules:
    """The modules of a model by their paths, and the marks on those around a node of its graph."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._modules = dict(model.named_modules(remove_duplicate=False))
        self._polynomials = {module: polynomial_of(module) for module in model.modules()}
        self._begins: dict[str, int] = {}

    def wish(self, node: torch.fx.Node) -> Wish | None:
        """Return what hetorch.approximate asked for the innermost marked module around a node."""
        for path, _ in reversed((node.meta.get("nn_module_stack") or {}).values()):
            wish = getattr(self._module(path), WISH_MARK, None)
            if isinstance(wish, Wish):
                return wish
        return None

    def whole(self, node: torch.fx.Node) -> tuple[str, torch.nn.Module] | None:
        """Return the outermost module around a node that becomes one activation, with a text that identifies its call:
        one that is marked elementwise, or is a polynomial. None if there is none."""
        for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
            module = self._module(path)
            if module is None:
                continue
            if getattr(module, ELEMENTWISE_MARK, False) or self._polynomials[module] is not None:
                return f"{key} {path}", module
        return None

    def replace(
        self, node: torch.fx.Node, call: Call, builder: Builder, values: Mapping[str, Any]
    ) -> tuple[Symbol, list[str]]:
        """Append the module `whole` around `node` as one activation; `values` are those of the nodes before, by name.

        Returns:
            The result, and the names of the module's nodes, which all have it as their value.

        Raises:
            Refusal: the module is no function of one number that is applied to every element.
        """
        marked = self.whole(node)
        assert marked is not None
        text, module = marked
        inside = [n for n in node.graph.nodes if (self.whole(n) or ("", None))[0] == text]
        names = {n.name for n in inside}
        entering = {
            value.value: value
            for n in inside
            for other in n.all_input_nodes
            if other.name not in names and isinstance(value := values.get(other.name), Symbol)
        }
        leaving = [n for n in inside if any(user.name not in names for user in n.users)]
        polynomial = self._polynomials[module]
        mark = "marked elementwise" if polynomial is None else "a polynomial of each element"
        if len(entering) != 1 or len(leaving) != 1:
            raise call.unsupported(f"it is {mark}, but has not one input and one output", WORKS)
        (source,) = entering.values()
        if shape_of(leaving[0].meta.get("val")) != source.shape:
            raise call.unsupported(f"it is {mark}, but changes the shape", WORKS)
        if polynomial is not None:
            definition = definition_of(polynomial, source.shape)
            trained = range_of(module, source.shape)
            return builder.polynomial(source, definition, polynomial.degree, trained, call), list(names)
        definition = _definition(module)
        _check(definition, call)
        return builder.activation(source, type(module).__name__, (), call, definition), list(names)

    def note_range(self, node: torch.fx.Node, begin: int, builder: Builder) -> None:
        """Give the activations that a node has appended, from operation `begin` on, the range that the module around
        it recorded in training, if they read what the module reads."""
        for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
            module = self._module(path)
            if hasattr(module, RANGE_MARK):
                entered = self._begins.setdefault(f"{key} {path}", begin)
                builder.note_range(begin, entered, functools.partial(range_of, module))

    def _module(self, path: str) -> torch.nn.Module | None:
        # A second call of the same module has the path "name@1".
        return self._modules.get(path.split("@")[0])


def _check(definition: Callable[[Array], Array], call: Call) -> None:
    """Raise a Refusal unless each element of the result depends on its own element alone, on three samples."""
    samples = np.array([-0.5, 0.25, 1.0])
    try:
        whole = definition(samples)
        alone = np.concatenate([definition(samples[i : i + 1]) for i in range(len(samples))])
    except Exception as error:
        raise call.unsupported(
            f"it is marked elementwise, but does not take a vector of numbers ({first_line(error)})", WORKS
        ) from error
    if whole.shape != samples.shape or not np.allclose(whole, alone, equal_nan=True):
        raise call.unsupported("it is marked elementwise, but mixes elements or changes the shape", WORKS)


def _definition(module: torch.nn.Module) -> Callable[[Array], Array]:
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float64)

    def function(x: Array) -> Array:
        with torch.no_grad():
            # A copy, because the module may write into its argument.
            flat = torch.from_numpy(np.array(x, dtype=np.float64, order="C")).to(dtype)
            return np.asarray(module(flat).to(torch.float64).numpy())

    return function
