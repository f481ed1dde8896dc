"""`hetorch.train.penalty`: what a loss adds so that activations stay in their ranges."""

from __future__ import annotations

from torch import Tensor, nn

from hetorch.train.poly_acts import poly_acts


def penalty(model: nn.Module) -> Tensor:
    """Return the sum of the range penalties of the last forward, to be added to the loss with a weight.

    Of each PolyAct it is the mean square of the excess of |z| beyond its bound: 0 while all values are inside.

    Args:
        model: a model that hetorch.train.prepare made, converted or not.

    Raises:
        InputError: the model has no PolyAct.
    """
    acts = list(poly_acts(model).values())
    total = acts[0].range_penalty()
    for act in acts[1:]:
        total = total + act.range_penalty()
    return total
