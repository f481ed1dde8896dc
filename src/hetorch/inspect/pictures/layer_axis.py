"""An axis of layers: one row for each, the input on top, so that long names are read without turning the head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hetorch.inspect.layer_trace import LayerTrace
from hetorch.inspect.pictures.style import SMALL, height_points, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST = 30
"""Characters of a layer's name in a picture; longer names lose their middle."""
ROW, FRAME, TALLEST = 0.23, 1.1, 13.0
"""Height of a row, of what surrounds the rows, and of the tallest picture, in inches."""
LEAST_ROW = 9.5
"""Height that a label needs, in points; where rows are lower, only some of them have one."""


def height_for(layers: Sequence[LayerTrace]) -> float:
    """Return the height of a picture with a row for each layer, in inches."""
    return min(ROW * max(len(layers), 5) + FRAME, TALLEST)


def labels_of(layers: Sequence[LayerTrace]) -> list[str]:
    """Return a label for each layer: its name, shortened, with a number where several layers have the same one."""
    names = [_shortened(layer.name) for layer in layers]
    seen: dict[str, int] = {}
    labels = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        labels.append(f"{name} #{seen[name]}" if names.count(name) > 1 else name)
    return labels


def layer_rows(ax: Axes, layers: Sequence[LayerTrace]) -> list[int]:
    """Make the y axis one of layers, and return the y of each."""
    rows, labels = list(range(len(layers))), labels_of(layers)
    step = max(1, math.ceil(LEAST_ROW * len(rows) / max(height_points(ax), 1.0)))
    shown = rows[::step]
    ax.set_yticks(shown, [labels[row] for row in shown], fontsize=SMALL)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="y", color="#EEEEEE", linewidth=0.8)
    ax.set_axisbelow(True)
    tidy(ax)
    ax.tick_params(axis="y", length=0)
    return rows


def _shortened(name: str) -> str:
    if len(name) <= LONGEST:
        return name
    half = (LONGEST - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
