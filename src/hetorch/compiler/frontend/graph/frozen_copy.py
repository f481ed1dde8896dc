"""A copy of the user's model, fixed for export, and the checks of its weights."""

from __future__ import annotations

import contextlib
import copy
import warnings

import torch
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from hetorch.compiler.frontend.graph.quantisation import check_not_quantised
from hetorch.compiler.frontend.graph.user_code import first_line
from hetorch.errors import InputError, UnsupportedModelError
from hetorch.ir.analysis import Analysis


def frozen_copy(model: torch.nn.Module, name: str) -> torch.nn.Module:
    """Return a copy of a module on the CPU, in evaluation mode, without gradients; half precision becomes float32.

    Raises:
        InputError: weights are missing, NaN or infinite.
        UnsupportedModelError: the module cannot be copied, is quantised, or a batch normalisation has no running
            statistics.
    """
    check_not_quantised(model, name)
    _check_presence(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fixed = copy.deepcopy(model, computed_tensors(model))
    except Exception as error:
        raise UnsupportedModelError(
            f"{type(model).__name__} cannot be copied: {first_line(error)}"
        ) from error
    fixed = fixed.cpu()
    # A module that torch.export.save wrote has one mode, that in which it was exported.
    with contextlib.suppress(NotImplementedError):
        fixed = fixed.eval()
    if any(p.dtype in (torch.float16, torch.bfloat16) for p in fixed.parameters()):
        fixed = fixed.float()
    fixed = fixed.requires_grad_(False)
    _check_statistics(fixed, name)
    _check_values(fixed)
    return fixed


def _check_presence(model: torch.nn.Module) -> None:
    for path, tensor in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
            raise InputError(f"{path} has no shape yet; call the model once on a batch before compiling it")
        if tensor.device.type == "meta":
            raise InputError(f"{path} has no numbers (it is on the device meta); load the model's weights")


def computed_tensors(model: torch.nn.Module) -> dict[int, torch.Tensor]:
    """Return copies, by id, of tensors that a hook computes before each call (torch.nn.utils.prune does).

    As a memo they keep deepcopy from copying these, which it refuses because they have a gradient function.
    """
    return {
        id(value): value.detach().clone()
        for part in model.modules()
        for value in vars(part).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }


def _check_statistics(model: torch.nn.Module, name: str) -> None:
    for path, part in model.named_modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and part.running_mean is None:
            problem = f"batch_norm in {path} ({type(part).__name__}): it has no running statistics"
            problem += "; use track_running_stats=True"
            raise UnsupportedModelError(problem, Analysis(name, (), problem))


def _check_values(model: torch.nn.Module) -> None:
    for kind, tensors in (("parameter", model.named_parameters()), ("buffer", model.named_buffers())):
        for path, tensor in tensors:
            if bool(torch.isnan(tensor).any()):
                raise InputError(f"{path} holds NaN; train the model again, or load the right weights")
            # A buffer may hold infinity: masks of attention hold -inf.
            if kind == "parameter" and bool(torch.isinf(tensor).any()):
                raise InputError(f"{path} holds infinity; train the model again, or load the right weights")
