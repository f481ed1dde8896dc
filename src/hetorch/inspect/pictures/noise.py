"""The picture of the noise: how it grows from layer to layer, and the part that each layer adds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hetorch.errors import InputError
from hetorch.inspect.layer_trace import LayerTrace
from hetorch.inspect.pictures.layer_axis import height_for, layer_rows
from hetorch.inspect.pictures.log_axis import drawable, log_x, note_beside
from hetorch.inspect.pictures.style import BLUE, GREY, ORANGE, axes_or_new, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hetorch.inspect.trace_result import Trace


def draw_noise(trace: Trace, ax: Axes | None = None) -> Axes:
    """Draw the root mean square noise in each layer, relative to the layer's range: 2^-b leaves b bits of precision.

    Raises:
        InputError: the trace is one without noise.
        MissingPackageError: matplotlib is not installed.
    """
    if all(layer.noise is None for layer in trace.layers):
        raise InputError('this trace has no noise; trace with run="simulated" or run="encrypted"')
    ax = axes_or_new(ax, height_for(trace.layers))
    rows = layer_rows(ax, trace.layers)
    noise = [None if layer.noise is None else layer.noise.relative for layer in trace.layers]
    added, modelled = [_added(layer) for layer in trace.layers], [_modelled(layer) for layer in trace.layers]
    ax.barh(rows, drawable(added), height=0.55, color=ORANGE, alpha=0.75, label="added by the layer")
    ax.plot(drawable(noise), rows, "o-", color=BLUE, linewidth=0.8, markersize=5, label=trace.run)
    if trace.run == "encrypted":
        ax.plot(drawable(modelled), rows, "x", color=GREY, markersize=5, label="simulated")
    log_x(ax, [*noise, *modelled, *added], 2)
    for row, part in zip(rows, noise, strict=True):
        if part is not None and not 0 < part < math.inf:
            note_beside(ax, row, "no noise" if part == 0 else "beyond all numbers")
    ax.set_xlabel("noise (rms), of the layer's range")
    legend_above(ax)
    return ax


def _added(layer: LayerTrace) -> float | None:
    """Return the noise that the layer added, relative to its range; a rounding error of numpy counts as none."""
    noise, own = layer.noise, layer.noise_added
    if noise is None or own is None or not 0 < noise.rms < math.inf:
        return None
    relative = own * noise.relative / noise.rms
    return relative if relative > 1e-6 * noise.relative else None


def _modelled(layer: LayerTrace) -> float | None:
    """Return the modelled noise of a layer of an encrypted run, relative to its range."""
    noise = layer.noise
    if noise is None or "simulated" not in layer.values or not 0 < noise.rms < math.inf:
        return None
    difference = layer.values["simulated"] - layer.values["cleartext"]
    return float(np.sqrt(np.mean(difference**2))) * noise.relative / noise.rms
