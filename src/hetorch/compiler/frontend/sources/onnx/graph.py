"""ONNX models as modules, whose forward runs the graph node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from hetorch.compiler.frontend.marks import INTERFACE_MARK, NOTE_MARK
from hetorch.compiler.frontend.sources.onnx.classifiers import LEARNING, Node, find_ending
from hetorch.compiler.frontend.sources.onnx.operands import Operation
from hetorch.compiler.frontend.sources.onnx.operators import OPERATORS
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.optional_packages import require
from hetorch.plan.interface import Interface
from hetorch.quantities import count_text

NEAREST: Mapping[str, str] = MappingProxyType(
    {
        "LSTM": "export the model with torch.export",
        "GRU": "export the model with torch.export",
        "RNN": "export the model with torch.export",
        "NonZero": "comparisons are not computed on encrypted data",
        "TopK": "return the scores and choose after decryption",
        "If": "the model must not branch",
        "Loop": "the model must not loop",
    }
)
"""Advice for operators that are not supported, by name."""

SETTINGS = frozenset({"Clip", "Pad", "Resize", "Upsample"})
"""Operators whose operands after the first are settings, which must be known while tracing, and no weights."""


class OnnxModule(torch.nn.Module):
    """The graph of an ONNX model with one input; labels among its outputs are left to the client.

    UnsupportedModelError if it has more inputs, or an operator that is not known.
    """

    def __init__(self, graph: Any, opset: int) -> None:
        from onnx import helper, numpy_helper

        super().__init__()
        self.opset = opset
        self.constants: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        settings = {name for node in graph.node if node.op_type in SETTINGS for name in node.input[1:]}
        for number, tensor in enumerate(graph.initializer):
            array = np.array(numpy_helper.to_array(tensor))
            if array.dtype.kind == "f" and tensor.name not in settings:
                self.names[tensor.name] = f"weight_{number}"
                self.register_buffer(f"weight_{number}", torch.from_numpy(array))
            else:
                # Whole numbers are shapes, axes and indices, which must be known while tracing.
                self.constants[tensor.name] = array
        weights = {tensor.name for tensor in graph.initializer}
        inputs = [value.name for value in graph.input if value.name not in weights]
        if len(inputs) != 1:
            raise UnsupportedModelError(f"the ONNX model has {count_text(len(inputs), 'input')}; one works")
        (self.input,) = inputs
        nodes = [
            Node(
                node.op_type,
                node.domain,
                tuple(node.input),
                tuple(node.output),
                {a.name: _attribute(helper.get_attribute_value(a)) for a in node.attribute},
            )
            for node in graph.node
        ]
        labels = {value.name for value in graph.output if _holds_labels(value)}
        ending = find_ending(nodes, [v.name for v in graph.output], labels.__contains__, self.constants)
        self.outputs = ending.outputs
        self.nodes = _needed(nodes, self.outputs)
        if ending.classes:
            setattr(self, INTERFACE_MARK, Interface(classes=ending.classes))
            setattr(self, NOTE_MARK, "results are scores; probabilities and labels are left to the client")
        unknown = sorted({node.kind for node in self.nodes if _operator(node) is None})
        if unknown:
            advice = "; ".join(f"{kind}: {NEAREST[kind]}" for kind in unknown if kind in NEAREST)
            raise UnsupportedModelError(
                f"the ONNX model uses operations that cannot be compiled: {', '.join(unknown)}"
                + (f" ({advice})" if advice else "")
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """Return the output for a batch, or several outputs by name."""
        values: dict[str, Any] = {name: getattr(self, own) for name, own in self.names.items()}
        values.update(self.constants)
        values[self.input] = x
        for node in self.nodes:
            operands = [values[name] if name else None for name in node.inputs]
            operator = _operator(node)
            assert operator is not None
            result = operator(operands, node.attributes, self.opset)
            results = result if isinstance(result, (tuple, list)) else (result,)
            values.update(zip(node.outputs, results, strict=False))
        if len(self.outputs) > 1:
            return {name: values[name] for name in self.outputs}
        output: torch.Tensor = values[self.outputs[0]]
        return output


def _operator(node: Node) -> Operation | None:
    """Return the function that computes a node; None if it is not known."""
    if node.domain == "ai.onnx.ml":
        return LEARNING.get(node.kind)
    return OPERATORS.get(node.kind) if node.domain in ("", "ai.onnx") else None


def _needed(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """Return the nodes that the outputs need, in order."""
    needed = set(outputs)
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def _holds_labels(value: Any) -> bool:
    """Return True for an output of whole numbers, truth values or text."""
    from onnx import TensorProto

    kind = value.type.tensor_type.elem_type if value.type.HasField("tensor_type") else TensorProto.UNDEFINED
    floats = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
    return kind not in (*floats, TensorProto.UNDEFINED)


def _attribute(value: Any) -> Any:
    from onnx import TensorProto, numpy_helper

    if isinstance(value, bytes):
        return value.decode()
    return np.array(numpy_helper.to_array(value)) if isinstance(value, TensorProto) else value


def load_onnx(path: Path) -> torch.nn.Module:
    """Return the model of an .onnx file.

    Raises:
        InputError: the file is no ONNX model.
        MissingPackageError: the package onnx is not installed.
        UnsupportedModelError: the model uses an operator that is not known, or has not one input.
    """
    onnx = require("onnx", "reading ONNX models")
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and the checker raise many kinds on a broken file
        raise InputError(f"{path} is no ONNX model: {' '.join(str(error).split())[:200]}") from error
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    return OnnxModule(model.graph, opset).eval()
