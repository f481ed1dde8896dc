"""The picture of the errors: each layer's difference from the model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hetorch.errors import InputError
from hetorch.inspect.layer_trace import LayerTrace
from hetorch.inspect.pictures.layer_axis import height_for, layer_rows
from hetorch.inspect.pictures.log_axis import drawable, log_x, note_beside
from hetorch.inspect.pictures.style import BLUE, GREEN, SMALL, VERMILLION, axes_or_new, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hetorch.inspect.trace_result import Trace


def draw_errors(trace: Trace, ax: Axes | None = None) -> Axes:
    """Draw root mean square and largest error of each layer, relative to the layer's range in the model.

    Raises:
        InputError: the trace has no model.
        MissingPackageError: matplotlib is not installed.
    """
    if all(layer.error is None for layer in trace.layers):
        raise InputError("the trace has no model to compare with; give model= to hetorch.inspect.trace")
    ax = axes_or_new(ax, height_for(trace.layers))
    rows = layer_rows(ax, trace.layers)
    rms = [None if layer.error is None else 100 * layer.error.relative for layer in trace.layers]
    worst = [_worst(layer) for layer in trace.layers]
    promised = 100 * trace.plan.report.promised_error or None
    for row, least, most in zip(rows, rms, worst, strict=True):
        if least is None or most is None:
            note_beside(ax, row, "not compared")
        elif not 0 < least < math.inf:
            note_beside(ax, row, "no error" if least == 0 else "beyond all numbers")
        else:
            ax.plot([least, most], [row, row], color=BLUE, linewidth=1)
    ax.plot(drawable(rms), rows, "o", color=BLUE, markersize=5, label="root mean square")
    ax.plot(drawable(worst), rows, "|", color=BLUE, markersize=9, markeredgewidth=1.8, label="largest")
    if promised is not None:
        ax.plot([promised], rows[-1:], "D", color=GREEN, mfc="none", label="promised (outputs)")
    log_x(ax, [*rms, *worst, promised], 10)
    _tell_outside(ax, trace, rows)
    ax.set_xlabel("error, % of the layer's range")
    legend_above(ax)
    return ax


def _worst(layer: LayerTrace) -> float | None:
    """Return the largest error in percent of the range that the relative error is of."""
    error = layer.error
    if error is None:
        return None
    return 100 * error.worst * error.relative / error.rms if 0 < error.rms < math.inf else error.rms


def _tell_outside(ax: Axes, trace: Trace, rows: list[int]) -> None:
    """Name the share of values outside an activation's range, right of its row."""
    for row, layer in zip(rows, trace.layers, strict=True):
        if layer.outside:
            ax.annotate(
                f"{layer.outside:.1%} outside",
                (1.0, row),
                xycoords=ax.get_yaxis_transform(),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=SMALL - 1,
                color=VERMILLION,
                annotation_clip=False,
            )
