"""Networks in which each activation has a degree of its own, made from one that records ranges."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hetorch.train.objective import outputs_of
from hetorch.train.poly_act import TARGETS, PolyAct
from hetorch.train.poly_acts import poly_acts
from hetorch.train.training_data import Batch

Assignment = Mapping[str, int | None]
"""The degree of each activation by its name; None keeps it exact."""


class Kept(nn.Module):
    """The exact activation in the place of a PolyAct."""

    def __init__(self, act: PolyAct) -> None:
        super().__init__()
        self.function = TARGETS[act.target] if isinstance(act.target, str) else act.target

    def forward(self, x: Tensor) -> Tensor:
        """Return the target of each element."""
        return self.function(x)


def assigned(base: nn.Module, degrees: Assignment) -> nn.Module:
    """Return a copy of a prepared model, with exact activations, whose activations have these degrees.

    They keep the ranges that were recorded, and become polynomials with hetorch.train.convert or `settle`.
    """
    model = copy.deepcopy(base)
    for path, act in poly_acts(base).items():
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, _with_degree(act, degrees[path]))
    return model


def _with_degree(act: PolyAct, degree: int | None) -> nn.Module:
    if degree is None:
        return Kept(act).train(act.training)
    new = PolyAct(degree, act.target, act.channels, act.channel_axis, act.bound, act.momentum)
    new.to(act.centre)
    for name, buffer in act.named_buffers():
        if name != "powers":
            getattr(new, name).copy_(buffer)
    return new.train(act.training)


def settle(model: nn.Module, batch: Batch) -> None:
    """Turn exact activations into polynomials one after the other, each over the range behind those before it.

    All at once, a polynomial of degree 2 that has not been trained sends values out of the ranges of the next ones,
    where they grow from layer to layer. The mode of the model is kept.
    """
    order: list[PolyAct] = []
    acts = list(poly_acts(model).values())
    handles = [act.register_forward_pre_hook(lambda act, _: order.append(act)) for act in acts]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            outputs_of(model, batch)
            for handle in handles:
                handle.remove()
            for act in dict.fromkeys(order):
                act.reset_range()
                handle = act.register_forward_pre_hook(_record)
                outputs_of(model, batch)
                handle.remove()
                act.to_polynomial()
    finally:
        model.train(training)


def _record(act: nn.Module, arguments: tuple[Any, ...]) -> None:
    assert isinstance(act, PolyAct)
    act.record(arguments[0])
