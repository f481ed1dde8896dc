"""`hetorch.train.convert`: the exact activations of a prepared model become polynomials."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from hetorch.errors import InputError
from hetorch.train.poly_acts import poly_acts

Model = TypeVar("Model", bound=nn.Module)


def convert(model: Model) -> Model:
    """Turn each exact activation into the polynomial nearest to it over the range that training recorded.

    The model itself is changed, so that an optimiser keeps its parameters; the coefficients train from now on. Train
    some epochs more: the polynomials are near the activations, and the accuracy is lost until the weights follow.

    Args:
        model: a model that hetorch.train.prepare made, after some batches in train().

    Returns:
        The model.

    Raises:
        InputError: the model has no PolyAct, or one that has seen no batch in train().
    """
    acts = poly_acts(model)
    unseen = [path for path, act in acts.items() if not act.has_range]
    if unseen:
        raise InputError(
            f"the activation {unseen[0]} has recorded no range: run the model on batches in train() before convert"
        )
    for act in acts.values():
        act.to_polynomial()
    return model
