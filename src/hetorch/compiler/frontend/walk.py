"""The graph of an exported model, call by call, as a TensorProgram; what cannot be read is written down, not raised."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.compiler.frontend.builder import Builder, Call, Refusal, Shape, Symbol
from hetorch.compiler.frontend.decompose import in_parts, one_number
from hetorch.compiler.frontend.marks import ELEMENTWISE_MARK, WISH_MARK
from hetorch.compiler.frontend.matrices import empty
from hetorch.compiler.frontend.movement_ops import IDENTITY
from hetorch.compiler.frontend.nodes import bound, is_real, operation_name, shape_of, symbols_in, with_tensors
from hetorch.compiler.frontend.operations import (
    CHECKS,
    FILLING,
    FINAL,
    HANDLERS,
    LIKE,
    NEAREST,
    SHAPES,
    WORKS,
)
from hetorch.ir.analysis import AnalysisRow
from hetorch.ir.tensor_program import Activation, TensorProgram, Wish, without_dead

Array = NDArray[np.float64]
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


class Walk:
    """One pass over the graph of `exported`, of which `model` is the module."""

    def __init__(
        self, exported: torch.export.ExportedProgram, model: torch.nn.Module, builder: Builder
    ) -> None:
        self.exported = exported
        self.builder = builder
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.values: dict[str, Any] = {}
        self.refusal: Refusal | None = None

    def run(self, input_shape: tuple[int, ...]) -> TensorProgram:
        """The program, of a model whose input has `input_shape` without the batch. Refusal if there is none: the first
        problem of all that stand in the builder's rows."""
        signature = self.exported.graph_signature
        constants = {**self.exported.constants, **self.exported.state_dict}
        names = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        result: Any = None
        for node in self.exported.graph.nodes:
            if node.op == "placeholder":
                fixed = node.name in names
                self.values[node.name] = (
                    constants[names[node.name]].detach() if fixed else Symbol(0, (1, *input_shape))
                )
            elif node.op == "output":
                # What a functional graph writes into buffers comes before what the model returns.
                result = next(
                    n for n in node.args[0] if n is not None and n.name == signature.user_outputs[0]
                )
            elif node.name not in self.values:
                self.values[node.name] = self._evaluate(node)
        if self.refusal is not None:
            raise self.refusal
        value = self.values.get(getattr(result, "name", ""))
        if not isinstance(value, Symbol):
            problem = "the output of the model does not depend on its input"
            raise Refusal(problem, problem, "return what was computed from the input")
        shape = value.shape[1:]
        return without_dead(input_shape, self.builder.operations, value.value, shape)

    def _evaluate(self, node: torch.fx.Node) -> Any:
        resolved: Any = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: self.values[n.name])
        args, kwargs = resolved
        target: Any = node.target
        symbols = symbols_in([args, list(kwargs.values())])
        if not symbols and callable(target):
            return target(*args, **kwargs)
        if target is operator.getitem and isinstance(args[0], tuple):
            return args[0][args[1]]
        op = operation_name(target)
        if node.op == "get_attr":
            return getattr(self.exported.graph_module, str(target))
        if (
            op in SHAPES
            or (op in LIKE and not symbols_in([args[0]]))
            or (op in FILLING and not symbols_in([args[1]]))
        ):
            made, meta = target(*_with_zeros(args), **_with_zeros(kwargs)), node.meta.get("val")
            return made.to(meta.dtype) if isinstance(meta, torch.Tensor) else made
        if op in CHECKS:
            return None
        call = self._call(node, args, kwargs)
        begun = len(self.builder.operations)
        try:
            if self._enters_marked(node):
                found: Any = self._marked(node, call)
            elif call.op in FINAL and _is_last(node):
                return self._leave_to_client(call, symbols[0], args, kwargs)
            else:
                found = self._handle(call)
        except Refusal as refusal:
            self.refusal = self.refusal or refusal
            self._note(call, "unsupported", refusal.problem, refusal.nearest)
            return self._stand_in(call, symbols[0])
        functions = dict.fromkeys(
            op.function for op in self.builder.operations[begun:] if isinstance(op, Activation)
        )
        if functions:
            self._note(call, "approximate", ", ".join(functions))
        else:
            self._note(call, "exact", "")
        return found

    def _handle(self, call: Call) -> Any:
        handler = HANDLERS.get(call.op)
        if not call.real and call.op in IDENTITY:
            raise call.unsupported(
                "it makes whole numbers", "leave the numbers real, or let the client compute them"
            )
        try:
            return handler(self.builder, call) if handler else self._otherwise(call)
        except (Refusal, MemoryError):
            raise
        except Exception as error:
            # A form of the operation that its handler does not expect: told as what it is, with the reason.
            raise call.unsupported(f"this form is not understood ({_first_line(error)})", WORKS) from error

    def _otherwise(self, call: Call) -> Any:
        """What no handler reads."""
        found = None
        if call.op not in NEAREST:
            found = one_number(self.builder, call)
            found = in_parts(self.builder, call, HANDLERS) if found is None else found
        if found is None:
            raise call.unsupported("it cannot be computed on encrypted data", NEAREST.get(call.op, WORKS))
        return found

    def _stand_in(self, call: Call, source: Symbol) -> Any:
        """Something of the right shape, so that the rest of the model can be looked at as well."""

        def zeros(shape: tuple[int, ...]) -> Symbol:
            size = int(np.prod(shape))
            return self.builder.affine(source, empty(size, source.size), None, call, shape)

        return tuple(map(zeros, call.shapes)) if call.shapes else zeros(call.shape)

    def _leave_to_client(
        self, call: Call, source: Symbol, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Symbol:
        self.builder.notes.append(
            f"{call.op} at the end ({call.name}) is left to the client: results are what goes into it"
        )
        position = next(i for i, argument in enumerate(args) if isinstance(argument, Symbol))
        target = call.target
        self.builder.finishing.append(lambda x: target(*args[:position], x, *args[position + 1 :], **kwargs))
        self._note(call, "client", "results are what goes into it")
        return source

    def _note(self, call: Call, status: Any, detail: str, nearest: str = "") -> None:
        self.builder.rows.append(
            AnalysisRow(call.name, call.kind, call.op, call.where, status, detail, nearest)
        )

    def _call(self, node: torch.fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        target: Any = node.target
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path, kind = stack[-1] if stack else ("", "module")
        kind = kind.rsplit(".", 1)[-1] if isinstance(kind, str) else kind.__name__
        op = operation_name(target)
        meta = node.meta.get("val")
        several = tuple(shape_of(item) or () for item in meta) if isinstance(meta, (tuple, list)) else ()
        shape = shape_of(meta)
        # A functional call has its own name; a module is known by its path.
        label, label_kind = (path, kind) if path else (node.name, op)
        return Call(
            target,
            op,
            bound(target, args, kwargs),
            _shape_with(target, args, kwargs) if shape is None else shape,
            several,
            label,
            label_kind,
            _where(node),
            self._wish(stack),
            is_real(meta),
        )

    def _wish(self, stack: list[Any]) -> Wish | None:
        """What hetorch.approximate asked for the innermost module that it was called on."""
        for path, _ in reversed(stack):
            found = getattr(self.modules.get(path.split("@")[0]), WISH_MARK, None)
            if isinstance(found, Wish):
                return found
        return None

    def _marked_path(self, node: torch.fx.Node) -> str | None:
        """The path (with the number of the call) of the outermost module around a node that is marked elementwise."""
        for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
            if getattr(self.modules.get(path.split("@")[0]), ELEMENTWISE_MARK, False):
                return f"{key} {path}"
        return None

    def _enters_marked(self, node: torch.fx.Node) -> bool:
        return self._marked_path(node) is not None

    def _marked(self, node: torch.fx.Node, call: Call) -> Symbol:
        """The whole marked module as one function of one number; its nodes are skipped."""
        marked = self._marked_path(node)
        inside = [n for n in self.exported.graph.nodes if self._marked_path(n) == marked]
        names = {n.name for n in inside}
        entering = {
            value.value: value
            for n in inside
            for other in n.all_input_nodes
            if other.name not in names and isinstance(value := self.values.get(other.name), Symbol)
        }
        leaving = [n for n in inside if any(user.name not in names for user in n.users)]
        if len(entering) != 1 or len(leaving) != 1:
            raise call.unsupported("it is marked elementwise, but has not one input and one output", WORKS)
        (source,) = entering.values()
        path = next(
            path.split("@")[0]
            for _, (path, _) in node.meta["nn_module_stack"].items()
            if getattr(self.modules.get(path.split("@")[0]), ELEMENTWISE_MARK, False)
        )
        module = self.modules[path]
        definition, samples = _definition(module), np.array([-0.5, 0.25, 1.0])
        try:
            whole = definition(samples)
            alone = np.concatenate([definition(samples[i : i + 1]) for i in range(len(samples))])
        except Exception as error:
            raise call.unsupported(
                f"it is marked elementwise, but does not take a vector of numbers ({_first_line(error)})",
                WORKS,
            ) from error
        if whole.shape != samples.shape or not np.allclose(whole, alone, equal_nan=True):
            raise call.unsupported("it is marked elementwise, but mixes elements or changes the shape", WORKS)
        found = self.builder.activation(source, type(module).__name__, (), call, definition)
        if shape_of(leaving[0].meta.get("val")) != found.shape:
            raise call.unsupported("it is marked elementwise, but changes the shape", WORKS)
        for n in inside:
            self.values[n.name] = found
        return found


def _definition(module: torch.nn.Module) -> Callable[[Array], Array]:
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float64)

    def function(x: Array) -> Array:
        with torch.no_grad():
            # A copy: the module may write into what it is given.
            flat = torch.from_numpy(np.array(x, dtype=np.float64, order="C")).to(dtype)
            return np.asarray(module(flat).to(torch.float64).numpy())

    return function


def _is_last(node: torch.fx.Node) -> bool:
    """Whether nothing but what changes nothing, or is left to the client as well, comes after a node."""
    users = list(node.users)
    return all(
        user.op == "output" or (operation_name(user.target) in IDENTITY | FINAL and _is_last(user))
        for user in users
    )


def _with_zeros(items: Any) -> Any:
    """Arguments with zeros for what will be encrypted."""
    values = list(items.values()) if isinstance(items, dict) else items
    return with_tensors(items, {symbol: torch.zeros(symbol.shape) for symbol in symbols_in(values)})


def _shape_with(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Shape:
    """The shape that torch could not tell when it traced: it depends on the values of a constant. () if it depends on
    the input, which the handler will refuse."""
    try:
        found: torch.Tensor = target(*_with_zeros(args), **_with_zeros(kwargs))
    except Exception:
        return ()
    return tuple(found.shape)


def _where(node: torch.fx.Node) -> str:
    """File:line of the innermost frame outside torch, relative to the working directory if it is in there."""
    libraries = (os.path.dirname(torch.__file__), os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [(path, line) for path, line in frames if not path.startswith(libraries)]
    if not own:
        return ""
    path, line = own[-1]
    return f"{shown(path)}:{line}"


def shown(path: str) -> str:
    """A path relative to the working directory if it is in there."""
    inner = os.path.relpath(path)
    return path if inner.startswith("..") else inner


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
