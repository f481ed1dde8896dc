"""The sentences that tell the user about approximations, in the notes of a plan and of an analysis."""

from __future__ import annotations

import math

from hetorch.compiler.activations.approximated import Approximated, Fit
from hetorch.compiler.activations.domains import RANGE_MARGIN
from hetorch.compiler.activations.polynomial_growth import TAIL_GROWTH

UNSTABLE = (
    f"inputs {RANGE_MARGIN:.0%} further from or nearer to their mean than the calibration inputs can make the outputs "
    "explode, those of other samples of the same batch too; what helps: more calibration inputs, a larger "
    'activation_tolerance= (lower degrees), activation_ranges="interval", or batch_size=1'
)


def sentences(approximated: Approximated) -> tuple[str, ...]:
    """Return one sentence for each approximated function, and those on the network that apply: no argmax counts, the
    outputs can explode, something is missing."""
    told = [_sentence(fit) for fit in approximated.fits]
    shape = approximated.program.output_shape
    if told and not approximated.has_classes and math.prod(shape) > 1:
        told.append(
            f"outputs of shape {shape} have no classes: only activation_tolerance counts, activation_agreement does not"
        )
    if not approximated.stable_off_calibration:
        told.append(UNSTABLE)
    if approximated.shortfall:
        told.append(approximated.shortfall)
    return tuple(told)


def _sentence(fit: Fit) -> str:
    """Return the range, degree and error of a function, and what happens outside the range."""
    if fit.method == "exact line":
        return f"{fit.name}: {fit.function} is a line on {fit.low:.3g}..{fit.high:.3g}, exactly"
    escaped = (
        f"{fit.escapes:.2%} of held-out calibration values are outside"
        if fit.escapes
        else "none seen outside"
    )
    beyond = (
        f"up to {fit.reach:.3g} half ranges from the centre it stays below {TAIL_GROWTH:g} times its largest value"
        if fit.reach > 1
        else "outside it is not bounded"
    )
    return (
        f"{fit.name}: {fit.function} on {fit.low:.3g}..{fit.high:.3g} by degree {fit.degree} ({fit.method}), error "
        f"at most {fit.error:.2g}; {escaped}; {beyond}"
    )
