"""The sentences that tell the user about approximations, in the notes of a plan and of an analysis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from hetorch.compiler.activations.approximated import Approximated, Fit
from hetorch.compiler.activations.domains import RANGE_MARGIN
from hetorch.compiler.activations.polynomial_growth import TAIL_GROWTH

LINE = "exact line"
"""The method of a fit that needs no polynomial: the function is a line on the range."""
UNSTABLE = (
    f"inputs {RANGE_MARGIN:.0%} further from or nearer to their mean than the calibration inputs can make the outputs "
    "explode, those of other samples of the same batch too; what helps: more calibration inputs, a larger "
    'activation_tolerance= (lower degrees), activation_ranges="interval", or batch_size=1'
)


def sentences(approximated: Approximated) -> tuple[str, ...]:
    """Return one sentence for each approximated function of each module, and those on the network that apply: no
    argmax counts, the outputs can explode, something is missing."""
    told = [_sentence(group) for group in _groups(approximated.fits)]
    shape = approximated.program.output_shape
    if told and not approximated.has_classes and math.prod(shape) > 1:
        told.append(
            f"outputs of shape {shape} have no classes: only activation_tolerance counts, activation_agreement does not"
        )
    if not approximated.stable_off_calibration:
        told.append(UNSTABLE)
    told += filter(None, (approximated.shortfall, approximated.without_bootstraps))
    return tuple(told)


def _groups(fits: Iterable[Fit]) -> list[list[Fit]]:
    """Return the fits of each function of each module together: an unrolled recurrent layer has one for each step."""
    groups: dict[tuple[str, str, bool], list[Fit]] = {}
    for fit in fits:
        groups.setdefault((fit.name, fit.function, fit.method == LINE), []).append(fit)
    return list(groups.values())


def _sentence(fits: Sequence[Fit]) -> str:
    """Return the range, degree and error of a function, and what happens outside the range; the worst of several."""
    first, low, high = fits[0], min(fit.low for fit in fits), max(fit.high for fit in fits)
    times = "" if len(fits) == 1 else f", {len(fits)} times,"
    span = f"{'on ranges within' if times else 'on'} {low:.3g}..{high:.3g}"
    if first.method == LINE:
        return f"{first.name}: {first.function}{times} is a line {span}, exactly"
    escapes, reach = max(fit.escapes for fit in fits), min(fit.reach for fit in fits)
    escaped = f"{escapes:.2%} of held-out calibration values are outside" if escapes else "none seen outside"
    beyond = (
        f"up to {reach:.3g} half ranges from the centre it stays below {TAIL_GROWTH:g} times its largest value"
        if reach > 1
        else "outside it is not bounded"
    )
    degrees = sorted({fit.degree for fit in fits})
    degree = f"{degrees[0]}" if len(degrees) == 1 else f"{degrees[0]} to {degrees[-1]}"
    methods = ", ".join(dict.fromkeys(fit.method for fit in fits))
    return (
        f"{first.name}: {first.function}{times} {span} by degree {degree} ({methods}), error at most "
        f"{max(fit.error for fit in fits):.2g}; {'at most ' if times and escapes else ''}{escaped}; {beyond}"
    )
