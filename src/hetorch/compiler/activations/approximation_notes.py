"""What the user is told about approximations: one sentence a layer, in the plan's notes."""

from __future__ import annotations

from hetorch.compiler.activations.approximate_activations import Approximated
from hetorch.compiler.activations.fit_polynomial import RANGE_MARGIN, TAIL_GROWTH


def sentences(approximated: Approximated) -> tuple[str, ...]:
    """For each approximated function its range, degree, error and what happens outside the range."""
    found = []
    for fit in approximated.fits:
        if fit.method == "exact line":
            found.append(f"{fit.name}: {fit.function} is a line on {fit.low:.3g}..{fit.high:.3g}, exactly")
            continue
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
        found.append(
            f"{fit.name}: {fit.function} on {fit.low:.3g}..{fit.high:.3g} by degree {fit.degree} ({fit.method}), error "
            f"at most {fit.error:.2g}; {escaped}; {beyond}"
        )
    if not approximated.steady:
        found.append(
            f"inputs {RANGE_MARGIN:.0%} further from or nearer to their mean than the calibration inputs can make "
            "the outputs explode, those of other samples of the same batch too; what helps: more calibration inputs, a "
            'larger activation_tolerance= (lower degrees), activation_ranges="interval", or batch_size=1'
        )
    return tuple(found)
