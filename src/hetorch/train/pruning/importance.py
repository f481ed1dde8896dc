"""The importance of each weight: what the network loses, or is expected to lose, if the weight becomes zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hetorch.errors import InputError
from hetorch.train.pruning.diagonal_groups import DiagonalGroups

Array = NDArray[np.float64]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def by_norm(model: nn.Module, groups: DiagonalGroups) -> Array:
    """Return each weight's square, relative to the sum of the squares of its layer."""
    importance = np.zeros(groups.offsets[-1])
    for name, place in groups.slices():
        squares = model.get_submodule(name).weight.detach().cpu().double().square().reshape(-1).numpy()  # type: ignore
        importance[place] = squares / (squares.sum() or 1.0)
    return importance


def by_loss(model: nn.Module, groups: DiagonalGroups, loader: Iterable[object], loss: Loss) -> Array:
    """Return the sum over batches of (weight * gradient of the loss)^2.

    This is the first-order estimate of the change of the loss (Molchanov et al., "Importance estimation for neural
    network pruning", CVPR 2019, equation 8), for each weight by itself.

    Args:
        model: the model, in eval(); its gradients stay as they are.
        groups: the prunable diagonals.
        loader: batches (inputs, targets).
        loss: takes outputs and targets.

    Raises:
        InputError: the loader has no batches, or other things than pairs.
    """
    weights = [_stored_weight(model.get_submodule(name)) for name in groups.layers]
    importance = np.zeros(groups.offsets[-1])
    batches = 0
    for batch in loader:
        if not (isinstance(batch, list | tuple) and len(batch) == 2):
            raise InputError(f"loader must give pairs (inputs, targets), got {type(batch).__name__}")
        inputs, targets = batch
        with torch.enable_grad():
            value = loss(model(inputs.to(weights[0].device)), targets.to(weights[0].device))
            gradients = torch.autograd.grad(value, weights, allow_unused=True)
        for (_, place), weight, gradient in zip(groups.slices(), weights, gradients, strict=True):
            if gradient is not None:
                change = (weight.detach() * gradient).double().square()
                importance[place] += change.reshape(-1).cpu().numpy()
        batches += 1
    if not batches:
        raise InputError("loader has no batches")
    if not np.all(np.isfinite(importance)):
        raise InputError("the gradients of the loss are not finite; check the model and the loader's numbers")
    for (_, place), weight in zip(groups.slices(), weights, strict=True):
        # A weight that no batch uses is the first to go, and one that is zero has gone.
        used = weight.detach().reshape(-1).cpu().numpy() != 0
        least = np.finfo(np.float64).tiny
        importance[place] = np.where(used, np.maximum(importance[place], least), 0.0)
    return importance


def _stored_weight(module: nn.Module) -> torch.Tensor:
    """Return the parameter behind `weight`: a module that torch prunes has it under another name."""
    weight = getattr(module, "weight_orig", None)
    parameter = module.weight if weight is None else weight
    assert isinstance(parameter, torch.Tensor)
    return parameter
