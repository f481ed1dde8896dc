"""Models from files."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from hetorch.compiler.frontend.exported import load_exported
from hetorch.compiler.frontend.source import as_module
from hetorch.errors import InputError

PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt"})


def load_model(model: object, module: Callable[[], torch.nn.Module] | None = None) -> torch.nn.Module:
    """The model of a .pt2 file (torch.export.save), of an .onnx file, or of a state_dict (itself, or in a .safetensors
    file), for which `module` is the class, or a function without arguments, that makes its module. Of another object:
    an nn.Module is returned as it is, a fitted scikit-learn estimator or pipeline and a torch.export.ExportedProgram as
    the module that computes the same (of a classifier: its scores).

    torch runs what a .pt2 file says: load only files that you trust. Pickles (.pt, .pth, .pkl, .joblib) are not opened,
    because they run whatever they hold. InputError if the file cannot be read or does not belong to the module or the
    object is no model, UnsupportedModelError for an ONNX operation or an estimator that is not known.
    """
    if isinstance(model, Mapping):
        return _filled(_made(module), dict(model), "the state_dict")
    if not isinstance(model, str | os.PathLike):
        return as_module(model)
    path = os.fspath(model)
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no file {path!r}")
    match file.suffix:
        case ".pt2":
            return load_exported(file)
        case ".onnx":
            from hetorch.compiler.frontend.onnx_graph import load_onnx

            return load_onnx(file).eval()
        case ".safetensors":
            return _with_weights(file, _made(module))
    if file.suffix in PICKLES:
        raise InputError(
            f"{path!r} is a pickle, which runs whatever it holds and is not opened; load it yourself if you trust it "
            "and give the object (a state_dict: torch.load(..., weights_only=True), with module=), or save the weights "
            "as .safetensors or the model with torch.export.save"
        )
    raise InputError(f"{path!r} is no .pt2, .onnx or .safetensors file")


def _made(module: Callable[[], torch.nn.Module] | None) -> torch.nn.Module:
    if module is None:
        raise InputError(
            "a state_dict needs its module: pass module=, a class or a function without arguments"
        )
    if isinstance(module, torch.nn.Module):
        return module
    try:
        inspect.signature(module).bind()
    except TypeError as error:
        raise InputError(f"module= must take no arguments; wrap it in a function: {error}") from error
    made = module()
    if not isinstance(made, torch.nn.Module):
        raise InputError(f"module must make a torch.nn.Module, it made {type(made).__name__}")
    return made


def _with_weights(file: Path, made: torch.nn.Module) -> torch.nn.Module:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{file} is no safetensors file: {error}") from error
    return _filled(made, state, str(file))


def _filled(made: torch.nn.Module, state: dict[str, Any], source: str) -> torch.nn.Module:
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{source} must hold tensors by their names, as module.state_dict() returns them")
    try:
        made.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"{source} does not belong to {type(made).__name__}: {' '.join(str(error).split())[:300]}"
        ) from error
    return made
