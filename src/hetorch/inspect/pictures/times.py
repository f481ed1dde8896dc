"""The picture of the times: where a run spends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetorch.inspect.pictures.layer_axis import height_for, layer_rows
from hetorch.inspect.pictures.style import BLUE, GREY, SKY, axes_or_new, legend_above
from hetorch.inspect.traced import Traced

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_times(trace: Traced, ax: Axes | None = None) -> Axes:
    """Draw the time of each layer in one run on ciphertexts, measured and predicted; predicted alone if none was made.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    ax = axes_or_new(ax, height_for(trace.layers))
    rows = layer_rows(ax, trace.layers)
    measured = [layer.seconds or 0.0 for layer in trace.layers]
    predicted = [layer.predicted_seconds for layer in trace.layers]
    longest = max(*measured, *predicted)
    unit, factor = ("s", 1.0) if longest >= 1 else ("ms", 1e3)
    if trace.seconds is not None:
        ax.barh(rows, [factor * t for t in measured], height=0.65, color=SKY, label="measured")
        ticks = [factor * t for t in predicted]
        ax.plot(ticks, rows, "|", color=BLUE, markersize=9, markeredgewidth=1.8, label="predicted")
    else:
        ax.barh(rows, [factor * t for t in predicted], height=0.65, color=GREY, label="predicted")
    ax.set_xlim(0, factor * longest * 1.05 or 1.0)
    ax.set_xlabel(f"time in one run, {unit}")
    legend_above(ax)
    return ax
