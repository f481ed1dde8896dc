"""`hetorch.inspect.to_onnx_graph`: a plan as an ONNX graph for viewers such as Netron.

The graph is for looking at: its operators are hetorch's own, and no ONNX runtime computes them.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from hetorch.atomic_files import SHARED
from hetorch.errors import InputError
from hetorch.inspect.drawing.boxes import Box, boxes_of, printable
from hetorch.inspect.save_file import save_file
from hetorch.ir.he_operations import NO_LAYOUT, LinearTransform, Operation, Polynomial, RotateAdd
from hetorch.optional_packages import require
from hetorch.plan import Plan

Detail = Literal["layers", "operations"]
"""The nodes of the graph: the layers of the network, or every operation on ciphertexts."""

DOMAIN = "org.hetorch"
"""The domain of the graph's operators."""
DOMAIN_VERSION = 1
OPSET = 17
"""The version of ONNX's own operators, of which the graph has none; IR_VERSION goes with it."""
IR_VERSION = 8
SAMPLES = "samples"
"""The name of the first axis of every tensor."""

Attributes = Mapping[str, int | float | str | Sequence[int]]


def to_onnx_graph(plan: Plan, path: str | os.PathLike[str], *, detail: Detail = "layers") -> None:
    """Write the layers of a plan as an ONNX graph, which Netron (https://netron.app) shows.

    Each node is a layer of the domain org.hetorch, with level, scale, costs and the range of an activation as
    attributes. The file holds no weights.

    Args:
        plan: the plan; one without its weights will do.
        path: the file to write, which should end in .onnx for Netron.
        detail: "operations" makes a node of every operation on ciphertexts, with the ciphertexts between them.

    Raises:
        InputError: `plan` is no plan, or there is no such detail.
        MissingPackageError: the package onnx, of the extra `onnx`, is not installed.
        StorageError: the file cannot be written.
    """
    if not isinstance(plan, Plan):
        raise InputError(f"to_onnx_graph takes a plan, got {type(plan).__name__}")
    if detail not in get_args(Detail):
        raise InputError(f"detail must be one of {', '.join(map(repr, get_args(Detail)))}, got {detail!r}")
    onnx = require("onnx", "to_onnx_graph")
    graph = _layer_graph(onnx, plan) if detail == "layers" else _operation_graph(onnx, plan)
    model = onnx.helper.make_model(
        graph,
        producer_name="hetorch",
        opset_imports=[onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid(DOMAIN, DOMAIN_VERSION)],
        ir_version=IR_VERSION,
        doc_string="A plan of hetorch, for viewers: the operators are hetorch's, and no ONNX runtime computes them.",
    )
    onnx.helper.set_model_props(model, {name: _text(value) for name, value in _facts(plan).items()})
    onnx.checker.check_model(model)
    save_file(path, model.SerializeToString(), mode=SHARED)


def _layer_graph(onnx: Any, plan: Plan) -> Any:
    """Return the graph whose nodes are layers."""
    boxes = boxes_of(plan)
    names = _distinct([box.name for box in boxes])
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [SAMPLES, *box.shape])
        for name, box in zip(names, boxes, strict=True)
    ]
    nodes = [
        onnx.helper.make_node(
            _operator(box.kind),
            [names[source] for source in box.sources],
            [name],
            name=name,
            domain=DOMAIN,
            doc_string=box.kind,
            **_box_attributes(box),
        )
        for name, box in zip(names, boxes, strict=True)
        if box.operations
    ]
    # A plan whose outputs are its inputs has no layers to draw.
    return onnx.helper.make_graph(
        nodes, printable(plan.name), values[:1], values[-1:], value_info=values[1:-1]
    )


def _box_attributes(box: Box) -> Attributes:
    fits = box.fits
    fitted: Attributes = (
        {
            "function": printable(fits[0].function),
            "degree": max(fit.degree for fit in fits),
            "fitted_low": min(fit.low for fit in fits),
            "fitted_high": max(fit.high for fit in fits),
            "fitted_error": max(fit.error for fit in fits),
        }
        if fits
        else {}
    )
    return {
        "level": box.level,
        "operand_level": box.operand_level,
        "scale_bits": box.scale_bits,
        "ciphertexts": box.ciphertexts,
        "operations": box.operations_text,
        "diagonals": box.diagonals,
        "rotations": box.rotations,
        "multiplications": box.multiplications,
        "predicted_seconds": box.seconds,
        "predicted_error": box.predicted_error,
        "weight_bytes": box.weight_bytes,
        "key_bytes": box.key_bytes,
        **fitted,
    }


def _operation_graph(onnx: Any, plan: Plan) -> Any:
    """Return the graph whose nodes are operations on ciphertexts."""
    program = plan.program

    def value(number: int) -> Any:
        made = program.values[number]
        shape = (plan.parameters.slot_count,)
        note = f"level {made.level}, scale 2^{math.log2(made.scale):.2f}"
        if made.layout != NO_LAYOUT:
            note += f", ciphertext {made.part} of shape {program.layouts[made.layout].shape}"
        return onnx.helper.make_tensor_value_info(
            f"v{number}", onnx.TensorProto.FLOAT, shape, doc_string=note
        )

    nodes = [
        onnx.helper.make_node(
            type(op).__name__,
            [f"v{number}" for number in op.reads],
            [f"v{number}" for number in op.makes],
            name=f"{printable(program.layers[op.layer])} #{position}",
            domain=DOMAIN,
            **_operation_attributes(plan, op),
        )
        for position, op in enumerate(program.operations)
    ]
    inside = [v for op in program.operations for v in op.makes if v not in program.outputs]
    return onnx.helper.make_graph(
        nodes,
        printable(plan.name),
        [value(number) for number in program.inputs],
        [value(number) for number in program.outputs],
        value_info=[value(number) for number in inside],
    )


def _operation_attributes(plan: Plan, op: Operation) -> Attributes:
    result = plan.program.values[op.makes[0]]
    special: Attributes = {}
    if isinstance(op, LinearTransform):
        special = {"diagonals": len(plan.weights[f"{op.weight}.outputs"])}
    elif isinstance(op, RotateAdd):
        special = {"steps": op.steps}
    elif isinstance(op, Polynomial):
        special = {"degree": op.degree}
    return {
        "layer": printable(plan.program.layers[op.layer]),
        "operand_level": op.level(plan.program),
        "level": result.level,
        "scale_bits": math.log2(result.scale),
        "rotations": op.rotation_count(plan.program, plan.weights),
        "weight_bytes": op.weight_bytes(plan.program, plan.parameters, plan.weights),
        **special,
    }


def _facts(plan: Plan) -> dict[str, object]:
    """Return the figures of the whole plan, which viewers show as the properties of the model."""
    report = plan.to_report()
    return {name: value for name, value in report.items() if name not in ("layers", "polynomials")}


def _text(value: object) -> str:
    return printable(value) if isinstance(value, str) else json.dumps(value)


def _operator(kind: str) -> str:
    """Return the name of an operator for a kind such as "Conv2d + BatchNorm2d": ONNX takes letters, digits and "_"."""
    name = re.sub(r"\W+", "_", kind, flags=re.ASCII).strip("_")
    return name if name and not name[0].isdigit() else f"layer_{name}".rstrip("_")


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the names, those that are there already with a number behind: values of ONNX have names of their own."""
    taken: set[str] = set()
    distinct = []
    for name in names:
        number, candidate = 1, name or "layer"
        while candidate in taken:
            number += 1
            candidate = f"{name or 'layer'} #{number}"
        taken.add(candidate)
        distinct.append(candidate)
    return distinct
