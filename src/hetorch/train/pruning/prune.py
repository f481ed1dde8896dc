"""`hetorch.train.prune`: make weights zero, so that whole diagonals of the compiled layout go."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import prune as torch_prune

from hetorch.compiler.frontend.graph.frozen_copy import computed_tensors
from hetorch.compiler.options import CompileOptions
from hetorch.errors import InputError
from hetorch.quantities import count_text, time_text
from hetorch.train.pruning.chosen_layout import ChosenLayout, choose_layout
from hetorch.train.pruning.diagonal_groups import DiagonalGroups, find_groups
from hetorch.train.pruning.importance import Loss, by_loss, by_norm
from hetorch.train.pruning.select_groups import Goal, Selection, select

Array = NDArray[np.float64]

ATTEMPTS = 4
"""Number of times that more is removed until the predicted seconds keep the budget. Raised, budgets that the layouts
make hard to meet are met more often, and each attempt takes a search for layouts."""


@dataclass(frozen=True, slots=True)
class LayerShare:
    """The share of a layer's weights that are zero, and how many of its diagonals pruning removed from how many."""

    name: str
    zero: float
    removed: int
    diagonals: int


@dataclass(frozen=True, slots=True, eq=False)
class PrunedModel:
    """A pruned copy of a model, and what pruning saves by the compiler's prediction.

    model               the copy, with masks of torch.nn.utils.prune; it can be trained further
    layers              what was removed from each layer
    seconds_before, seconds_after      predicted seconds of a run
    diagonals_before, diagonals_after  diagonals of all maps
    rotations_before, rotations_after  rotations of all maps
    """

    model: nn.Module
    layers: tuple[LayerShare, ...]
    seconds_before: float
    seconds_after: float
    diagonals_before: int
    diagonals_after: int
    rotations_before: int
    rotations_after: int

    def __str__(self) -> str:
        width = max(len("layer"), *(len(layer.name) for layer in self.layers))
        lines = [f"{'layer':<{width}}  diagonals removed  weights zero"]
        lines += [
            f"{layer.name:<{width}}  {f'{layer.removed} of {layer.diagonals}':>17}  {layer.zero:>12.1%}"
            for layer in self.layers
        ]
        return "\n".join(
            [
                *lines,
                "",
                f"{count_text(self.diagonals_before, 'diagonal')} -> {self.diagonals_after}, "
                f"{count_text(self.rotations_before, 'rotation')} -> {self.rotations_after}, "
                f"predicted {time_text(self.seconds_before)} -> {time_text(self.seconds_after)}",
            ]
        )


def prune(
    model: nn.Module,
    example_inputs: object,
    *,
    amount: float | None = None,
    seconds: float | None = None,
    loader: Iterable[object] | None = None,
    loss: Loss | None = None,
    layers: Sequence[str] | None = None,
    **options: Any,
) -> PrunedModel:
    """Prune a copy of a model, so that its plan takes fewer diagonals and rotations. The model itself is not changed.

    The weights that share a diagonal of the layout that hetorch.compile chooses become zero together. Those that are
    least important for the time they take go first. The masks are those of torch.nn.utils.prune: training goes on with
    them, torch.nn.utils.prune.remove makes the zeros permanent, and masks that the model has already are kept.

    Args:
        model: a model that hetorch.compile takes; with activations that are polynomials this takes seconds, otherwise
            as long as compiling.
        example_inputs: as the calibration_inputs of hetorch.compile.
        amount: the share of the prunable diagonals to remove, between 0 and 1.
        seconds: a budget for the predicted time of a run; as many diagonals go as this takes. Give one of the two.
        loader: batches (inputs, targets) from which the importance of weights is computed, to first order in the loss.
            Without it, the importance is the square of a weight, relative to those of its layer.
        loss: the loss for `loader`, of outputs and targets; cross-entropy if left out.
        layers: names of the layers to prune; all convolutions and linear layers if left out.
        **options: those with which the model will be compiled, since they change the layout.

    Raises:
        InputError: a wrong argument, no weights that can be pruned, or a budget that pruning does not reach.
        UnsupportedModelError, InfeasibleError: as hetorch.compile.
    """
    _check(amount, seconds, loader, loss)
    chosen = CompileOptions(**options)
    before = choose_layout(model, example_inputs, chosen)
    groups = find_groups(model, example_inputs, before, chosen, layers)
    copied = copy.deepcopy(model, computed_tensors(model))
    importance = _importance(copied, groups, loader, loss)
    if amount is not None:
        selection = select(groups, importance, Goal(round(amount * len(groups.maps))))
        _mask(copied, groups, selection)
        after = choose_layout(copied, example_inputs, chosen)
    else:
        assert seconds is not None
        copied, selection, after = _within(
            seconds, copied, example_inputs, chosen, before, groups, importance
        )
    return PrunedModel(
        copied,
        _shares(copied, groups, selection),
        before.seconds,
        after.seconds,
        before.diagonals,
        after.diagonals,
        before.rotations,
        after.rotations,
    )


def _check(
    amount: float | None, seconds: float | None, loader: Iterable[object] | None, loss: Loss | None
) -> None:
    if (amount is None) == (seconds is None):
        raise InputError("give either amount=, a share of the diagonals, or seconds=, a budget for the time")
    if amount is not None and not 0 < amount < 1:
        raise InputError(f"amount must be above 0 and below 1, got {amount}")
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise InputError(f"seconds must be a positive number, got {seconds}")
    if loss is not None and loader is None:
        raise InputError("loss was given without a loader; give batches (inputs, targets) as loader=")


def _importance(
    model: nn.Module, groups: DiagonalGroups, loader: Iterable[object] | None, loss: Loss | None
) -> Array:
    if loader is None:
        return by_norm(model, groups)
    modes = {name: module.training for name, module in model.named_modules()}
    try:
        return by_loss(model.eval(), groups, loader, loss or nn.functional.cross_entropy)
    finally:
        for name, module in model.named_modules():
            module.training = modes[name]


def _within(
    seconds: float,
    model: nn.Module,
    example_inputs: object,
    options: CompileOptions,
    before: ChosenLayout,
    groups: DiagonalGroups,
    importance: Array,
) -> tuple[nn.Module, Selection, ChosenLayout]:
    """Prune copies of `model` until the predicted time is within `seconds`.

    The compiler chooses new layouts for each, so that the time saved differs from the time that the groups predict.
    """
    wanted, after = before.seconds - seconds, before
    if wanted <= 0:
        raise InputError(
            f"the model takes {time_text(before.seconds)} by prediction, within the budget of {time_text(seconds)}: "
            "nothing is pruned"
        )
    for _ in range(ATTEMPTS):
        pruned = copy.deepcopy(model, computed_tensors(model))
        selection = select(groups, importance, Goal(wanted, in_seconds=True))
        _mask(pruned, groups, selection)
        after = choose_layout(pruned, example_inputs, options)
        if after.seconds <= seconds:
            return pruned, selection, after
        wanted += after.seconds - seconds
    raise InputError(
        f"seconds={seconds:.3g} is not reached: with {int(selection.removed.sum())} of {len(selection.removed)} "
        f"prunable diagonals removed the model takes {time_text(after.seconds)}, without pruning "
        f"{time_text(before.seconds)}; a smaller network or activations of a lower degree save more"
    )


def _mask(model: nn.Module, groups: DiagonalGroups, selection: Selection) -> None:
    """Add the masks of torch.nn.utils.prune for the weights that become zero."""
    for name, place in groups.slices():
        zero = selection.zero[place]
        if zero.any():
            module = model.get_submodule(name)
            weight = module.weight
            assert isinstance(weight, torch.Tensor)
            mask = torch.from_numpy(~zero).reshape(weight.shape).to(weight.device, weight.dtype)
            torch_prune.custom_from_mask(module, "weight", mask)  # type: ignore[no-untyped-call]


def _shares(model: nn.Module, groups: DiagonalGroups, selection: Selection) -> tuple[LayerShare, ...]:
    shares = []
    for name, place in groups.slices():
        own = groups.weights[:, place].sum(axis=1) > 0
        weight = model.get_submodule(name).weight
        assert isinstance(weight, torch.Tensor)
        zero = float((weight == 0).double().mean())
        shares.append(LayerShare(name, zero, int(selection.removed[own].sum()), int(own.sum())))
    return tuple(shares)
