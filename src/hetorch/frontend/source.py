"""Everything that a model may be given as, made an nn.Module."""

from __future__ import annotations

import torch

from hetorch.errors import InputError


def as_module(model: object) -> torch.nn.Module:
    """An nn.Module as it is, or the module of a torch.export.ExportedProgram. InputError for anything else."""
    if isinstance(model, torch.nn.Module):
        return model
    if isinstance(model, torch.export.ExportedProgram):
        return model.module()
    raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}")
