"""hetorch.load_model: models from files, and from objects other than modules."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from hetorch.compiler.frontend.marks import NOTE_MARK
from hetorch.compiler.frontend.sources.as_module import as_module
from hetorch.compiler.frontend.sources.exported_program import load_exported
from hetorch.errors import InputError
from hetorch.plan.store import MANIFEST

WRAPPERS: Mapping[str, str] = MappingProxyType({"_orig_mod.": "torch.compile", "module.": "DataParallel"})
"""Prefixes that wrappers put before the names of a model's weights."""
PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt"})
"""Endings of files that are not opened, because reading a pickle runs the code that it holds."""


def load_model(model: object, module: Callable[[], torch.nn.Module] | None = None) -> torch.nn.Module:
    """Return a model as an nn.Module.

    torch runs the code that a .pt2 file holds: load only files that you trust. Pickles (.pt, .pth, .pkl, .joblib) are
    not opened, because reading one runs the code that it holds.

    Args:
        model: the path of a .pt2 file (torch.export.save), an .onnx file or a .safetensors file; or a state_dict, an
            nn.Module, a torch.export.ExportedProgram, or a fitted scikit-learn estimator or pipeline. A classifier
            becomes the module that computes its scores.
        module: for a state_dict or a .safetensors file, the class of its module, or a function without arguments that
            makes it.

    Raises:
        InputError: the file cannot be read or does not belong to the module, or the object is no model.
        UnsupportedModelError: an ONNX operation or an estimator is not known.
    """
    if isinstance(model, Mapping):
        return _filled(_instance(module), dict(model), "the state_dict")
    if not isinstance(model, str | os.PathLike):
        return as_module(model)
    path = os.fspath(model)
    file = Path(path)
    if (file / MANIFEST).is_file():
        raise InputError(
            f"{path!r} is a plan, which is compiled already: hetorch.Plan.load reads it, hetorch.simulate and `hetorch "
            "serve` run it"
        )
    if not file.is_file():
        raise InputError(f"there is no file {path!r}")
    match file.suffix:
        case ".pt2":
            return load_exported(file)
        case ".onnx":
            from hetorch.compiler.frontend.sources.onnx.graph import load_onnx

            return load_onnx(file).eval()
        case ".safetensors":
            return _with_weights(file, _instance(module))
    if file.suffix in PICKLES:
        raise InputError(
            f"{path!r} is a pickle, which runs whatever it holds and is not opened; load it yourself if you trust it "
            "and give the object (a state_dict: torch.load(..., weights_only=True), with module=), or save the weights "
            "as .safetensors or the model with torch.export.save"
        )
    raise InputError(f"{path!r} is no .pt2, .onnx or .safetensors file")


def _instance(module: Callable[[], torch.nn.Module] | None) -> torch.nn.Module:
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
    instance = module()
    if not isinstance(instance, torch.nn.Module):
        raise InputError(f"module must make a torch.nn.Module, it made {type(instance).__name__}")
    return instance


def _with_weights(file: Path, module: torch.nn.Module) -> torch.nn.Module:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{file} is no safetensors file: {error}") from error
    return _filled(module, state, str(file))


def _filled(module: torch.nn.Module, state: dict[str, Any], source: str) -> torch.nn.Module:
    """Return the module with the weights of a state_dict, of which the prefixes of wrappers are dropped."""
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{source} must hold tensors by their names, as module.state_dict() returns them")
    own, dropped = tuple(module.state_dict()), []
    while prefix := next(
        (text for text in WRAPPERS if _all_begin(state, text) and not _any_begins(own, text)), None
    ):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
        dropped.append(f"{prefix} of {WRAPPERS[prefix]}")
    if dropped:
        note = f"dropped from the names of the weights: the prefix {' and the prefix '.join(dropped)}"
        setattr(module, NOTE_MARK, note)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"{source} does not belong to {type(module).__name__}: {' '.join(str(error).split())[:300]}"
        ) from error
    return module


def _all_begin(names: Iterable[str], prefix: str) -> bool:
    return all(name.startswith(prefix) for name in names)


def _any_begins(names: Iterable[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)
