"""The sentences that tell the user about approximations, in the notes of a plan and of an analysis."""

from __future__ import annotations

from hetorch.compiler.activations.approximated import Approximated, Fit
from hetorch.compiler.activations.polynomial_growth import TAIL_GROWTH


def sentences(approximated: Approximated) -> tuple[str, ...]:
    """Return one sentence for each approximated function, and one on what the network misses, if anything."""
    told = [_sentence(fit) for fit in approximated.fits]
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
