"""Models that are objects: modules, exported programs and scikit-learn estimators."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch

from hetorch.compiler.frontend.sources.scikit_learn.estimators import estimator_module, is_estimator
from hetorch.errors import InputError
from hetorch.plan import Plan


def as_module(model: object) -> torch.nn.Module:
    """Return a model as an nn.Module: a module as it is, without the wrapper of DataParallel or torch.compile, that of
    a torch.export.ExportedProgram, or one that computes what a fitted scikit-learn estimator computes.

    Raises:
        InputError: `model` is anything else, a file among them; hetorch.load_model reads files.
    """
    if isinstance(model, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        raise InputError(
            f"the model is TorchScript ({type(model).__name__}), which cannot be read; give the nn.Module that was "
            "traced or scripted, or what torch.export.export makes of it"
        )
    if isinstance(model, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
        return as_module(model.module)
    if isinstance(model, torch.nn.Module):
        compiled = getattr(model, "_orig_mod", None)  # the module under torch.compile
        return as_module(compiled) if isinstance(compiled, torch.nn.Module) else model
    if isinstance(model, torch.export.ExportedProgram):
        return model.module()
    if isinstance(model, Plan):
        raise InputError(
            f"the model is the plan {model.name!r}, which is compiled already: hetorch.simulate(plan, x) runs it"
        )
    if isinstance(model, str | os.PathLike):
        raise InputError(
            f"the model is the path {os.fspath(model)!r}; hetorch.load_model reads models, hetorch.Plan.load plans"
        )
    if isinstance(model, Mapping):
        kind = type(model).__name__
        article = "an" if kind[0] in "AEIOUaeiou" else "a"
        raise InputError(
            f"the model is {article} {kind} without its module: hetorch.load_model(state_dict, module=...) "
            "joins them, where module is the class or a function without arguments"
        )
    if isinstance(model, type):
        raise InputError(
            f"the model is the class {model.__name__}: make an instance, {model.__name__}(...), and "
            "give it its weights, or fit it"
        )
    if is_estimator(model):
        return estimator_module(model)
    if isinstance(getattr(model, "model", None), torch.nn.Module):
        raise InputError(
            f"model must be a torch.nn.Module, got {type(model).__name__}: give its attribute .model"
        )
    raise InputError(
        f"model must be a torch.nn.Module, got {type(model).__name__}; an exported program and fitted scikit-learn "
        "estimators work too, and hetorch.load_model reads .pt2, .onnx and .safetensors files"
    )
