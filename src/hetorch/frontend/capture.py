"""torch.export of a module, and its graph as a TensorProgram."""

from __future__ import annotations

import copy
import logging
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.errors import InputError, UnsupportedModelError
from hetorch.frontend.affine_ops import AFFINE
from hetorch.frontend.builder import BATCH, Builder, Call, Symbol
from hetorch.frontend.elementwise_ops import ELEMENTWISE
from hetorch.frontend.movement_ops import IDENTITY, MOVEMENT, concatenate, identity, movement
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import TensorProgram, verify_tensor_program, without_dead

FINAL = frozenset({"softmax", "_softmax", "log_softmax", "_log_softmax", "argmax", "softmin"})
"""Last operations that stay with the client: they need comparisons or divisions and change no decision."""

CAPTURE_TOLERANCE = 1e-3
"""Largest difference between the captured program (float64) and the model (float32): rounding is below 1e-5."""

NEAREST = {
    "max_pool2d": "use AvgPool2d",
    "max_pool1d": "use AvgPool1d",
    "adaptive_max_pool2d": "use AdaptiveAvgPool2d",
    "layer_norm": "use BatchNorm1d or BatchNorm2d, whose statistics are fixed",
    "group_norm": "use BatchNorm2d, whose statistics are fixed",
    "instance_norm": "use BatchNorm2d, whose statistics are fixed",
    "scaled_dot_product_attention": "attention needs products and softmax of encrypted values; use Linear or Conv2d",
    "embedding": "look the embedding up before encrypting",
    "conv3d": "use Conv2d",
    "conv_transpose2d": "use Conv2d after nn.Upsample",
    "sqrt": "use a polynomial, such as square",
    "max": "use an average",
    "softmax": "inside a network use Sigmoid; as the last operation it is left to the client",
}


@dataclass(frozen=True, slots=True)
class Captured:
    """The network as a program, the model's own outputs on the calibration inputs, and sentences for the user."""

    name: str
    program: TensorProgram
    inputs: NDArray[np.float64]
    outputs: NDArray[np.float64]
    notes: tuple[str, ...]


def capture(model: object, calibration_inputs: object) -> Captured:
    """`model` is an nn.Module in any mode, on any device: a copy in evaluation mode is used, the model stays as it is.

    `calibration_inputs` is a tensor or array (batch, ...). InputError if the inputs do not fit the model,
    UnsupportedModelError if it cannot be compiled.
    """
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    name = type(model).__name__
    fixed = _frozen_copy(model)
    dtype = next((p.dtype for p in fixed.parameters() if p.is_floating_point()), torch.float32)
    inputs = _calibration(calibration_inputs)
    tensor = torch.from_numpy(inputs).to(dtype)
    with torch.no_grad(), warnings.catch_warnings():
        # Advice that torch gives is not about compiling, and must not stop it where warnings are errors.
        warnings.simplefilter("ignore")
        try:
            result = fixed(tensor)
        except Exception as error:
            raise InputError(
                f"{name} does not accept the calibration inputs of shape {inputs.shape}: {_first_line(error)}"
            ) from error
    if not isinstance(result, torch.Tensor) or result.ndim < 1 or result.shape[0] != inputs.shape[0]:
        raise UnsupportedModelError(f"{name} must return one tensor (batch, ...), got {_describe(result)}")
    example = tensor[:1].expand(BATCH, *tensor.shape[1:]).clone()
    graph = _export(fixed, example, name)
    builder = Builder()
    program = _walk(graph, builder, inputs.shape[1:])
    verify_tensor_program(program, "capture")
    if not bool(torch.isfinite(result.to(torch.float64)).all()):
        raise InputError(f"{name} returns NaN or infinity on the calibration inputs; check its weights")
    outputs = _check_capture(name, program, builder, inputs, result)
    if not np.any(outputs):
        raise InputError(f"{name} returns only zeros on the calibration inputs; is it trained?")
    return Captured(name, program, inputs, outputs, tuple(builder.notes))


def _frozen_copy(model: torch.nn.Module) -> torch.nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fixed = copy.deepcopy(model)
    except Exception as error:
        raise UnsupportedModelError(
            f"{type(model).__name__} cannot be copied: {_first_line(error)}"
        ) from error
    fixed = fixed.cpu().eval()
    if any(p.dtype in (torch.float16, torch.bfloat16) for p in fixed.parameters()):
        fixed = fixed.float()
    return fixed.requires_grad_(False)


def _calibration(data: object) -> NDArray[np.float64]:
    if isinstance(data, torch.Tensor):
        array = data.detach().cpu().to(torch.float64).numpy() if not data.is_complex() else None
    elif isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
        array = data.astype(np.float64)
    else:
        array = None
    if array is None:
        raise InputError(
            f"calibration_inputs must be a tensor or array of real numbers, got {_describe(data)}"
        )
    if array.ndim < 2 or array.size == 0:
        raise InputError(
            f"calibration_inputs must be (batch, ...) with at least one sample, got {array.shape}"
        )
    if not np.all(np.isfinite(array)):
        raise InputError("calibration_inputs hold NaN or infinity; remove those samples")
    return array


def _export(model: torch.nn.Module, example: torch.Tensor, name: str) -> torch.export.ExportedProgram:
    logger = logging.getLogger("torch.export")
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            return torch.export.export(model, (example,), strict=False)
    except Exception as error:
        logger.debug("export failed", exc_info=True)
        raise UnsupportedModelError(
            f"{name} cannot be traced by torch.export: {_first_line(error)}; "
            "its forward must not branch on the values of its input"
        ) from error


def _walk(
    exported: torch.export.ExportedProgram, builder: Builder, input_shape: tuple[int, ...]
) -> TensorProgram:
    values: dict[str, Any] = {}
    signature = exported.graph_signature
    constants = {**exported.constants, **exported.state_dict}
    names = (
        signature.inputs_to_parameters
        | signature.inputs_to_buffers
        | signature.inputs_to_lifted_tensor_constants
    )
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            if node.name in names:
                values[node.name] = constants[names[node.name]].detach()
            else:
                values[node.name] = Symbol(0, input_shape)
        elif node.op == "output":
            result = node.args[0][0] if isinstance(node.args[0], (tuple, list)) else node.args[0]
            value = values.get(getattr(result, "name", ""))
            if not isinstance(value, Symbol):
                raise UnsupportedModelError("the output of the model does not depend on its input")
            return without_dead(input_shape, builder.operations, value.value, value.shape)
        else:
            values[node.name] = _evaluate(node, values, builder)
    raise UnsupportedModelError("the exported graph has no output")


def _evaluate(node: torch.fx.Node, values: dict[str, Any], builder: Builder) -> Any:
    def resolve(argument: Any) -> Any:
        return torch.fx.node.map_arg(argument, lambda n: values[n.name])

    args, kwargs = resolve(node.args), resolve(node.kwargs)
    symbols = _symbols(args) + _symbols(tuple(kwargs.values()))
    target: Any = node.target
    schema = getattr(target, "_schema", None)
    if not symbols:
        return target(*args, **kwargs)
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "module")
    kind = kind.rsplit(".", 1)[-1] if isinstance(kind, str) else kind.__name__
    op = schema.name.split("::")[-1] if schema else getattr(target, "__name__", str(target))
    if op.endswith("_") and not op.startswith("__"):
        op = op[:-1]
    meta = node.meta.get("val")
    shape = tuple(int(n) for n in meta.shape[1:]) if isinstance(meta, torch.Tensor) else ()
    # A functional call has its own name; a module is known by its path.
    label, label_kind = (path, kind) if path else (node.name, op)
    call = Call(target, op, _bind(schema, args, kwargs), shape, label, label_kind)
    final = next((symbol.final for symbol in symbols if symbol.final), "")
    if op in FINAL:
        source = symbols[0]
        builder.notes.append(
            f"{op} at the end ({label}) is left to the client: results are what goes into it"
        )
        position = next(i for i, argument in enumerate(args) if isinstance(argument, Symbol))
        builder.finishing.append(lambda x: target(*args[:position], x, *args[position + 1 :], **kwargs))
        return Symbol(source.value, source.shape, op)
    if final and op not in IDENTITY:
        raise call.unsupported(f"it comes after {final}", NEAREST["softmax"])
    if not isinstance(meta, torch.Tensor) or meta.ndim < 1 or meta.shape[0] != BATCH:
        problem = "its result is not one tensor (batch, ...), or it mixes samples"
        raise call.unsupported(problem, NEAREST.get(op, "keep axis 0"))
    handler = AFFINE.get(op) or ELEMENTWISE.get(op)
    if op in IDENTITY:
        handler = identity
    elif op in MOVEMENT:
        handler = movement
    elif op in ("cat", "concat"):
        handler = concatenate
    if handler is None:
        raise call.unsupported("it cannot be computed on encrypted data", NEAREST.get(op, _WORKS))
    return handler(builder, call)


_WORKS = (
    "what works: Linear, Conv2d, AvgPool2d, BatchNorm, reshaping, sums, products, and activations such as square, "
    "ReLU, SiLU, GELU, Sigmoid and Tanh"
)


def _bind(schema: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    if schema is None:
        return {str(position): value for position, value in enumerate(args)} | kwargs
    bound = {}
    for position, argument in enumerate(schema.arguments):
        if position < len(args):
            bound[argument.name] = args[position]
        elif argument.name in kwargs:
            bound[argument.name] = kwargs[argument.name]
        else:
            bound[argument.name] = argument.default_value if argument.has_default_value() else None
    return bound


def _symbols(items: Any) -> list[Symbol]:
    if isinstance(items, Symbol):
        return [items]
    if isinstance(items, (tuple, list)):
        return [symbol for item in items for symbol in _symbols(item)]
    return []


def _check_capture(
    name: str, program: TensorProgram, builder: Builder, inputs: Any, expected: torch.Tensor
) -> Any:
    """The program's outputs, after comparing them with the model's: a handler that misreads torch must not pass."""
    outputs = run_tensor_program(program, inputs)
    whole: torch.Tensor = torch.from_numpy(outputs)
    for finish in builder.finishing:
        whole = finish(whole)
    difference = float((whole.to(torch.float64) - expected.to(torch.float64)).abs().max())
    span = float(expected.to(torch.float64).abs().max())
    if difference > CAPTURE_TOLERANCE * max(span, 1.0):
        raise UnsupportedModelError(
            f"{name}: what was captured differs from the model by {difference:.3g} on the calibration inputs; "
            "does its forward change from call to call?"
        )
    return outputs


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _describe(value: object) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} of shape {tuple(shape)}"
