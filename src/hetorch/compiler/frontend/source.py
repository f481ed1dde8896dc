"""Everything that a model may be given as, made an nn.Module."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from hetorch.compiler.frontend.sklearn_models import estimator_module, is_estimator
from hetorch.errors import InputError


def as_module(model: object) -> torch.nn.Module:
    """An nn.Module as it is, the module of a torch.export.ExportedProgram, a fitted scikit-learn estimator as a module.
    InputError for anything else; hetorch.load_model reads files."""
    if isinstance(model, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        raise InputError(
            f"the model is TorchScript ({type(model).__name__}), which cannot be read; give the nn.Module that was "
            "traced or scripted, or what torch.export.export makes of it"
        )
    if isinstance(model, torch.nn.Module):
        return model
    if isinstance(model, torch.export.ExportedProgram):
        return model.module()
    if isinstance(model, Mapping):
        raise InputError(
            f"the model is a {type(model).__name__} without its module: hetorch.load_model(state_dict, module=...) "
            "joins them, where module is the class or a function without arguments"
        )
    if is_estimator(model):
        return estimator_module(model)
    raise InputError(
        f"model must be a torch.nn.Module, got {type(model).__name__}; an exported program and fitted scikit-learn "
        "estimators work too, and hetorch.load_model reads .pt2, .onnx and .safetensors files"
    )
