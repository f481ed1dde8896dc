"""The sentence on a bootstrapped plan that misses what its network of polynomials meets.

A bootstrap reduces its value by a sine, which is near to the identity only. So the outputs of a bootstrapped plan lie
farther from the model's than those of the network of polynomials that was chosen before.
"""

from __future__ import annotations

import math

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.goal import Goal

ROUNDING = 1e-9
"""Difference up to which two numbers count as equal, as 1 - 1/n and a mean over n samples do. Raised, what is barely
missed is not told."""


def sine_shortfall(network: Approximated, error: float, agreement: float, goal: Goal) -> str:
    """Return what a plan misses because of its bootstraps, in one sentence; empty if nothing.

    A figure that the network misses too, and that the bootstraps leave as it is to a hundredth of a percent, is told by
    the network's own shortfall.

    Args:
        network: the network of polynomials that was bootstrapped.
        error: largest difference of the plan's outputs from the model's on the calibration inputs, relative to the
            range of the model's outputs, and finite.
        agreement: share of the calibration inputs whose argmax the plan keeps.
        goal: the requirements on the outputs.
    """
    if not network.is_judged:
        return ""
    missed = []
    if error > goal.tolerance and not (network.shortfall and _up(error) == _up(network.error)):
        missed.append(
            f"the outputs differ from the model's by {_up(error)} of their range (activation_tolerance allows "
            f"{goal.tolerance:.2%})"
        )
    if agreement < goal.agreement - ROUNDING and not (
        network.shortfall and _down(agreement) == _down(network.agreement)
    ):
        missed.append(
            f"the argmax agrees on {_down(agreement)} of the calibration inputs (activation_agreement asks for "
            f"{goal.agreement:.2%})"
        )
    if not missed:
        return ""
    return (
        f"with the sines of the plan's bootstraps, which are approximations too, {' and '.join(missed)}; a smaller "
        "activation_tolerance= or a larger activation_agreement= than is needed leaves room for them"
    )


def _up(share: float) -> str:
    """Return a share in percent, rounded away from what is allowed."""
    return f"{math.ceil(share * 1e4 - ROUNDING) / 1e4:.2%}"


def _down(share: float) -> str:
    return f"{math.floor(share * 1e4 + ROUNDING) / 1e4:.2%}"
