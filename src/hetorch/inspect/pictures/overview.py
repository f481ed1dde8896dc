"""Several pictures side by side, which share one axis of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hetorch.inspect.pictures.errors import draw_errors
from hetorch.inspect.pictures.layer_axis import height_for
from hetorch.inspect.pictures.levels import draw_levels
from hetorch.inspect.pictures.noise import draw_noise
from hetorch.inspect.pictures.times import draw_times
from hetorch.optional_packages import explain_missing

if TYPE_CHECKING:
    from hetorch.inspect.trace_result import Trace

NAMES, PANEL = 1.6, 3.0
"""Width of the layers' names and of each picture, in inches."""
ABOVE = 0.5
"""Height of the title and the legends, in inches."""


def draw_overview(trace: Trace) -> NDArray[Any]:
    """Draw errors, noise, levels and times as far as the trace has them, and return the axes of each.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    with explain_missing("Trace.plot"):
        import matplotlib.pyplot as plt
    draws = [draw_levels, draw_times]
    if any(layer.noise is not None for layer in trace.layers):
        draws.insert(0, draw_noise)
    if any(layer.error is not None for layer in trace.layers):
        draws.insert(0, draw_errors)
    size = (NAMES + PANEL * len(draws), height_for(trace.layers) + ABOVE)
    figure, axes = plt.subplots(1, len(draws), figsize=size, layout="constrained", sharey=True, squeeze=False)
    for draw, ax in zip(draws, axes[0], strict=True):
        draw(trace, ax)
    figure.suptitle(trace.title, x=0.01, ha="left", fontsize=10)
    return np.asarray(axes[0])
