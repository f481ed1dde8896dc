"""The picture of the values of one layer: encrypted and in clear on one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.inspect.layer_trace import LayerTrace
from hetorch.inspect.pictures.style import GREY, VERMILLION, axes_or_new, legend_above, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hetorch.inspect.trace_result import Trace

Array = NDArray[np.float64]

BINS, FEWEST_BINS = 40, 10
"""Most and fewest bars of a histogram; it has about the square root of the number of values."""


def draw_values(trace: Trace, layer: LayerTrace, ax: Axes | None = None) -> Axes:
    """Draw histograms of a layer's values in the furthest run and in clear: the model's, or the plan's without noise.

    Raises:
        InputError: the trace keeps no values, or those of the layer are no finite numbers.
        MissingPackageError: matplotlib is not installed.
    """
    clear, seen, where = _both(trace, layer)
    if not np.all(np.isfinite(seen)):
        raise InputError(
            f"the values of {layer.name} have no histogram: they grew beyond all numbers, because an activation before "
            "them left its range; hetorch.inspect.find_divergence names it"
        )
    ax = axes_or_new(ax, 3.0)
    every = np.concatenate([clear, seen])
    bins = int(np.clip(np.sqrt(len(clear)), FEWEST_BINS, BINS))
    edges = np.histogram_bin_edges(every, bins).tolist()
    ax.hist(
        clear, edges, color=GREY, alpha=0.45, label="the model in clear" if where == "model" else "in clear"
    )
    if seen is not clear:
        ax.hist(seen, edges, histtype="step", color=VERMILLION, linewidth=1.5, label=trace.run)
    tidy(ax)
    ax.set_xlabel(f"values of {layer.name}, in the {where}'s units")
    ax.set_ylabel("number of values")
    legend_above(ax)
    return ax


def _both(trace: Trace, layer: LayerTrace) -> tuple[Array, Array, str]:
    """Return the values in clear and those of the furthest run, and whose units they have."""
    if not layer.values:
        raise InputError("the trace keeps no values; trace without values=False")
    if "model" in layer.values:
        return layer.values["model"].reshape(-1), layer.values["compared"].reshape(-1), "model"
    clear = layer.values["cleartext"].reshape(-1)
    return clear, clear if trace.run == "cleartext" else layer.values[trace.run].reshape(-1), "plan"
