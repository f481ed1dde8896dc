"""The walk along an exported graph, which turns each call into operations of a TensorProgram.

An operation that cannot be compiled is recorded and replaced by zeros, so that one walk lists all of them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.graph.decompose import as_activation, decomposed
from hetorch.compiler.frontend.graph.marked_modules import MarkedModules
from hetorch.compiler.frontend.graph.nodes import (
    bound,
    is_real,
    operation_name,
    shape_of,
    symbols_in,
    with_tensors,
)
from hetorch.compiler.frontend.graph.several_inputs import Joined
from hetorch.compiler.frontend.graph.several_outputs import Picked, side_by_side
from hetorch.compiler.frontend.graph.user_code import first_line, node_place
from hetorch.compiler.frontend.operations.alternatives import NEAREST, WORKS, embedding_advice
from hetorch.compiler.frontend.operations.builder import Builder
from hetorch.compiler.frontend.operations.call import Call, Refusal, Shape, Symbol
from hetorch.compiler.frontend.operations.handlers import CHECKS, FILLING, FINAL, HANDLERS, LIKE, SHAPES
from hetorch.compiler.frontend.operations.matrices import empty
from hetorch.compiler.frontend.operations.movement import IDENTITY, MOVING
from hetorch.ir.analysis import AnalysisRow
from hetorch.ir.tensor_program import Activation, TensorProgram, without_dead
from hetorch.plan.output_functions import ELEMENTWISE, OutputFunction

CONTEXTS = frozenset({"wrap_with_autocast", "wrap_with_set_grad_enabled"})
"""Calls in which torch.export keeps the body of a context that does not change what a trained model computes."""
AGAIN = re.compile(r"@(\d+)")
"""The number of a call of a module after its first one, in the keys that torch.export gives to modules."""


class Walk:
    """One walk along the graph of `exported`, the export of `model`; operations, rows and notes go to `builder`.

    `has_autocast` becomes True if the model computes a part of its results in the lower precision of torch.autocast.
    `output_shapes` become the shapes of the model's outputs, without the batch axis.
    """

    def __init__(
        self, exported: torch.export.ExportedProgram, model: torch.nn.Module, builder: Builder
    ) -> None:
        self.exported = exported
        self.builder = builder
        self.marked = MarkedModules(model)
        self.prefix = ""
        while isinstance(model, Picked | Joined):
            self.prefix, model = f"{self.prefix}model.", model.model
        self.takes_embeddings = hasattr(model, "get_input_embeddings")
        self.values: dict[str, Any] = {}
        self.body: torch.fx.GraphModule = exported.graph_module
        self.is_end = True
        self.has_autocast = False
        self.users: tuple[torch.fx.Node, ...] = ()
        self.output_shapes: list[Shape] = []
        self.refusal: Refusal | None = None

    def run(self, input_shape: tuple[int, ...]) -> TensorProgram:
        """Return the program of a model whose input has `input_shape` without the batch axis.

        Raises:
            Refusal: the model cannot be compiled. It is the first of the problems; the builder's rows have all.
        """
        signature = self.exported.graph_signature
        constants = {**self.exported.constants, **self.exported.state_dict}
        names = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        for node in self.exported.graph.nodes:
            if node.op == "placeholder":
                fixed = node.name in names
                self.values[node.name] = (
                    constants[names[node.name]].detach() if fixed else Symbol(0, (1, *input_shape))
                )
            elif node.op != "output" and node.name not in self.values:
                self.values[node.name] = self._evaluate(node)
        if self.refusal is not None:
            raise self.refusal
        outputs = [self._output(str(name)) for name in signature.user_outputs]
        self.output_shapes = [output.shape[1:] for output in outputs]
        whole = outputs[0] if len(outputs) == 1 else side_by_side(self.builder, outputs)
        return without_dead(input_shape, self.builder.operations, whole.value, whole.shape[1:])

    def _output(self, name: str) -> Symbol:
        """Return an output of the model, the value of the node `name`."""
        value = self.values.get(name)
        if not isinstance(value, Symbol):
            problem = "the output of the model does not depend on its input"
            raise Refusal(problem, problem, "return what was computed from the input")
        return value

    def _evaluate(self, node: torch.fx.Node) -> Any:
        """Return the value of a node: computed now if it is constant, else a Symbol, a tuple of them, or None."""
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
            return getattr(self.body, str(target))
        if op in CONTEXTS:
            return self._enter_context(node, op, args)
        if (
            op in SHAPES
            or (op in LIKE and not symbols_in([args[0]]))
            or (op in FILLING and not symbols_in([args[1]]))
        ):
            constant, meta = target(*_with_zeros(args), **_with_zeros(kwargs)), node.meta.get("val")
            return constant.to(meta.dtype) if isinstance(meta, torch.Tensor) else constant
        if op in CHECKS:
            return None
        return self._convert(node, self._call(node, args, kwargs), symbols[0], args, kwargs)

    def _enter_context(self, node: torch.fx.Node, op: str, args: tuple[Any, ...]) -> Any:
        """Return the results of a context's body, whose operations are those of the model without the context.

        `args` are the context's own arguments, its body, and the values that the body reads.
        """
        position = next(i for i, argument in enumerate(args) if isinstance(argument, torch.fx.GraphModule))
        body, inputs = args[position], iter(args[position + 1 :])
        if op == "wrap_with_autocast":
            _, _, enabled, *_ = args
            self.has_autocast |= bool(enabled)
        outer = self.values, self.body, self.is_end, self.users
        self.values, self.body, self.users = {}, body, tuple(node.users)
        self.is_end = self.is_end and all(_is_last(user) for user in node.users)
        result: Any = None
        for inner in body.graph.nodes:
            if inner.op == "placeholder":
                self.values[inner.name] = next(inputs)
            elif inner.op == "output":
                result = torch.fx.node.map_arg(inner.args[0], lambda n: self.values[n.name])
            elif inner.name not in self.values:
                self.values[inner.name] = self._evaluate(inner)
        self.values, self.body, self.is_end, self.users = outer
        return tuple(result) if isinstance(result, list) else result

    def _convert(
        self, node: torch.fx.Node, call: Call, source: Symbol, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the result of a call that reads encrypted values, and add its row to the analysis."""
        begin = len(self.builder.operations)
        try:
            if self.marked.whole(node) is not None:
                result: Any = self._replace_marked(node, call)
            elif call.op in FINAL and self.is_end and _is_last(node) and _can_be_left(call, source):
                return self._leave_to_client(node, call, source)
            else:
                result = self._handle(call)
            self.marked.note_range(node, begin, self.builder)
        except Refusal as refusal:
            self.refusal = self.refusal or refusal
            self._note(call, "unsupported", refusal.problem, refusal.nearest)
            return self._stand_in(call, source)
        written = [op for op in self.builder.operations[begin:] if isinstance(op, Activation)]
        functions = dict.fromkeys(op.function for op in written if op.exact_degree is None)
        kept = next((f"degree {op.exact_degree}" for op in written if op.exact_degree is not None), "")
        self._note(call, "approximate" if functions else "exact", ", ".join(functions) or kept)
        return result

    def _replace_marked(self, node: torch.fx.Node, call: Call) -> Symbol:
        result, names = self.marked.replace(node, call, self.builder, self.values)
        self.values.update(dict.fromkeys(names, result))
        return result

    def _handle(self, call: Call) -> Any:
        handler = HANDLERS.get(call.op)
        if not call.real and call.op in IDENTITY:
            raise call.unsupported(
                "it makes whole numbers", "leave the numbers real, or let the client compute them"
            )
        try:
            return handler(self.builder, call) if handler else self._without_handler(call)
        except (Refusal, MemoryError):
            raise
        except Exception as error:
            # A form of the operation that its handler does not expect.
            raise call.unsupported(f"this form is not understood ({first_line(error)})", WORKS) from error

    def _without_handler(self, call: Call) -> Any:
        result = None
        if call.op not in NEAREST:
            result = as_activation(self.builder, call)
            result = decomposed(self.builder, call) if result is None else result
        if result is None:
            raise call.unsupported("it cannot be computed on encrypted data", self._nearest(call))
        return result

    def _nearest(self, call: Call) -> str:
        if call.op == "embedding" and call.kind == "Embedding":
            return embedding_advice(call.name, takes_embeddings=self.takes_embeddings)
        return NEAREST.get(call.op, WORKS)

    def _stand_in(self, call: Call, source: Symbol) -> Any:
        """Return zeros of the right shapes, so that the walk can go on after an operation that is not supported."""

        def zeros(shape: tuple[int, ...]) -> Symbol:
            size = int(np.prod(shape))
            return self.builder.affine(source, empty(size, source.size), None, call, shape)

        return tuple(map(zeros, call.shapes)) if call.shapes else zeros(call.shape)

    def _leave_to_client(self, node: torch.fx.Node, call: Call, source: Symbol) -> Symbol:
        self.builder.notes.append(
            f"{call.op} at the end ({call.name}) is left to the client, which applies it after decryption"
        )
        name = FINAL[call.op]
        axis = -1 if name in ELEMENTWISE else call["dim"] % len(source.shape) - len(source.shape)
        function = OutputFunction(name, axis, bool(call.arguments.get("keepdim", False)))
        ends = _ends(node, self.exported.graph_signature.user_outputs)
        for user in self.users:
            ends |= _ends(user, self.exported.graph_signature.user_outputs)
        self.builder.finishing.append((frozenset(ends), function))
        self._note(call, "client", "applied after decryption")
        return source

    def _note(self, call: Call, status: Any, detail: str, nearest: str = "") -> None:
        self.builder.rows.append(
            AnalysisRow(call.name, call.kind, call.op, call.where, status, detail, nearest)
        )

    def _call(self, node: torch.fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        target: Any = node.target
        stack = list((node.meta.get("nn_module_stack") or {}).items())
        key, (path, kind) = stack[-1] if stack else ("", ("", "module"))
        path = f"{path}.".removeprefix(self.prefix).removesuffix(".")
        # torch marks the second call of a module by "@1" in the key; each call is a layer with a name of its own.
        path += "".join(f" ({int(number) + 1})" for number in AGAIN.findall(key)) if path else ""
        kind = kind.rsplit(".", 1)[-1] if isinstance(kind, str) else kind.__name__
        op = operation_name(target)
        meta = node.meta.get("val")
        shape = shape_of(meta)
        # A functional call has its own name; a module is known by its path.
        label, label_kind = (path, kind) if path else (node.name, op)
        return Call(
            target,
            op,
            arguments=bound(target, args, kwargs),
            shape=_shape_by_running(target, args, kwargs) if shape is None else shape,
            shapes=tuple(shape_of(item) or () for item in meta) if isinstance(meta, (tuple, list)) else (),
            name=label,
            kind=label_kind,
            where=node_place(node),
            wish=self.marked.wish(node),
            real=is_real(meta),
        )


def _is_last(node: torch.fx.Node, *, through_moves: bool | None = None) -> bool:
    """Return True if only operations that change nothing, or are left to the client as well, follow a node.

    A function of one number may be applied after operations that only move numbers: `through_moves` is True behind one.
    """
    name = operation_name(node.target)
    if name in FINAL or through_moves is None:
        through_moves = FINAL.get(name) in ELEMENTWISE
    passing = IDENTITY | MOVING if through_moves else IDENTITY
    return all(
        user.op == "output"
        or (
            operation_name(user.target) in passing | FINAL.keys()
            and _is_last(user, through_moves=through_moves)
        )
        for user in node.users
    )


def _can_be_left(call: Call, source: Symbol) -> bool:
    """Return True if the client can apply a final function to each sample, and the user asked for no approximation."""
    if FINAL[call.op] in ELEMENTWISE:
        return call.wish is None
    axis = call.arguments.get("dim")
    return source.shape[0] == 1 and isinstance(axis, int) and axis % len(source.shape) != 0


def _ends(node: torch.fx.Node, names: Sequence[Any]) -> set[int]:
    """Return the positions of the model's outputs, the nodes `names`, that a node is or leads to."""
    ends = {position for position, name in enumerate(names) if name == node.name}
    return ends.union(*(_ends(user, names) for user in node.users))


def _with_zeros(items: Any) -> Any:
    """Return the arguments with zeros in place of the values that will be encrypted."""
    values = list(items.values()) if isinstance(items, dict) else items
    return with_tensors(items, {symbol: torch.zeros(symbol.shape) for symbol in symbols_in(values)})


def _shape_by_running(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Shape:
    """Return a shape that torch did not know while tracing, because it depends on the values of a constant.

    () if it depends on the input; the handler will refuse it.
    """
    try:
        result: torch.Tensor = target(*_with_zeros(args), **_with_zeros(kwargs))
    except Exception:
        return ()
    return tuple(result.shape)
