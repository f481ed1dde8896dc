"""The picture of an activation: its polynomials and the function, with the calibration values beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hetorch.errors import InputError
from hetorch.inspect.pictures.style import BLUE, GREY, ORANGE, VERMILLION, axes_or_new, legend_above, tidy
from hetorch.plan.report import PolynomialReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hetorch.inspect.trace_result import Trace

BENEATH = 0.24
"""Share of the height that the histogram has, below the curves."""


def draw_activation(trace: Trace, name: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the polynomials that stand in for an activation, over the ranges of some of its channels, and the function.

    Beneath is the histogram of what the activation read on the calibration inputs and, with a model, on these samples.

    Raises:
        InputError: there is no such activation, or the plan does not keep its polynomial.
        MissingPackageError: matplotlib is not installed.
    """
    fit = _fit(trace, name)
    ax = axes_or_new(ax, 3.6, 6.0)
    low, high = [], []
    for number, curve in enumerate(fit.curves):
        x = np.linspace(curve.low, curve.high, len(curve.function))
        labels = ("", "") if number else (fit.function, _named(fit))
        ax.plot(x, curve.function, color=GREY, linewidth=3, alpha=0.6, label=labels[0] or None)
        ax.plot(x, curve.polynomial, color=BLUE, linewidth=1.1, label=labels[1] or None)
        low.append(min(*curve.function, *curve.polynomial))
        high.append(max(*curve.function, *curve.polynomial))
    _draw_histograms(ax, trace, fit)
    room = (max(high) - min(low)) or 1.0
    ax.set_ylim(min(low) - room * BENEATH / (1 - BENEATH) - 0.08 * room, max(high) + 0.05 * room)
    tidy(ax)
    ax.set_xlabel(f"what {fit.layer} reads, in the model's units")
    ax.set_ylabel(f"what {fit.layer} returns")
    legend_above(ax)
    return ax


def _fit(trace: Trace, name: str | None) -> PolynomialReport:
    fits = trace.plan.report.polynomials
    chosen = [fit for fit in fits if name in (None, fit.layer)]
    if not chosen:
        known = ", ".join(fit.layer for fit in fits) or "none"
        which = "activations" if name is None else f"activation {name!r}"
        raise InputError(f"the plan has no {which} with a polynomial; those it has: {known}")
    if not chosen[0].curves:
        raise InputError(
            f"the plan does not keep the polynomial of {chosen[0].layer}; compile it again with this hetorch and with "
            "its weights in clear"
        )
    return chosen[0]


def _named(fit: PolynomialReport) -> str:
    return f"degree {fit.degree}: within {fit.error:.2g}"


def _draw_histograms(ax: Axes, trace: Trace, fit: PolynomialReport) -> None:
    """Draw the histograms into the lowest part of the axes, on a y axis of their own without numbers."""
    beneath = ax.twinx()
    edges = np.linspace(fit.low, fit.high, len(fit.histogram) + 1)
    tallest = max(fit.histogram, default=0.0)
    beneath.stairs(fit.histogram, edges, fill=True, color=ORANGE, alpha=0.55)
    ax.fill_between([], [], color=ORANGE, alpha=0.55, label="calibration values")
    read = trace.values_read(fit.layer)
    if read is not None:
        step = edges[1] - edges[0]
        # As far as the samples go, in bars of the same width, so that heights compare.
        left = int(np.floor((min(read.min(), fit.low) - fit.low) / step))
        right = int(np.ceil((max(read.max(), fit.high) - fit.low) / step))
        if right - left <= 100 * len(fit.histogram):
            wide = fit.low + step * np.arange(left, right + 1)
            shares = np.histogram(read, wide)[0] / read.size
            tallest = max(tallest, float(shares.max()))
            beneath.stairs(shares, wide, color=VERMILLION, linewidth=1.1)
            ax.plot([], [], color=VERMILLION, linewidth=1.1, label="these samples")
            _tint_outside(ax, fit, float(read.min()), float(read.max()))
    ax.margins(x=0.02)
    beneath.set_ylim(0, (tallest or 1.0) / BENEATH)
    beneath.set_yticks([])
    beneath.spines[["top", "right", "left", "bottom"]].set_visible(False)


def _tint_outside(ax: Axes, fit: PolynomialReport, low: float, high: float) -> None:
    """Tint where the samples reach from `low` to `high` beyond the range of the polynomial."""
    sides = [side for side in ((low, fit.low), (fit.high, high)) if side[0] < side[1]]
    for number, side in enumerate(sides):
        ax.axvspan(*side, color=VERMILLION, alpha=0.1, linewidth=0, label=None if number else "outside")
