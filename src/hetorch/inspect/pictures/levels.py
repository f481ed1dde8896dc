"""The picture of the levels: the staircase on which a run goes down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetorch.inspect.pictures.layer_axis import height_for, layer_rows
from hetorch.inspect.pictures.style import GREEN, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hetorch.inspect.trace_result import Trace


def draw_levels(trace: Trace, ax: Axes | None = None) -> Axes:
    """Draw the level of each layer's result, the number of rescalings that are left after it.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    ax = axes_or_new(ax, height_for(trace.layers))
    from matplotlib.ticker import MaxNLocator

    rows, levels = layer_rows(ax, trace.layers), [layer.level for layer in trace.layers]
    ax.barh(rows, levels, height=1.0, color=GREEN, alpha=0.18)
    edges = [rows[0] - 0.5, *(row + 0.5 for row in rows)]
    ax.stairs(levels, edges, orientation="horizontal", baseline=None, color=GREEN, linewidth=1.8)
    ax.set_xlim(0, max(*levels, 1) * 1.05)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.set_xlabel("level: rescalings left")
    return ax
