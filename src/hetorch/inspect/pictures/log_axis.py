"""A logarithmic axis, and a place for the zeros and infinities that are not on it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hetorch.inspect.pictures.style import GREY, SMALL, height_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def drawable(values: Iterable[float | None]) -> list[float]:
    """Return the values with NaN, which breaks a line, for those that a logarithmic axis cannot show."""
    return [math.nan if v is None or not 0 < v < math.inf else v for v in values]


def log_x(ax: Axes, values: Iterable[float | None], base: float) -> None:
    """Make the x axis logarithmic, from just below the least of the positive values to just above the largest."""
    drawn = [value for value in values if value is not None and 0 < value < math.inf]
    ax.set_xscale("log", base=base)
    if drawn:
        room = max(base**0.5, (max(drawn) / min(drawn)) ** 0.06)
        ax.set_xlim(min(drawn) / room, max(drawn) * room)


def note_beside(ax: Axes, row: float, text: str) -> None:
    """Write beside the left edge of a row what no position on the axis can show, such as a zero, if rows are high."""
    bottom, top = ax.get_ylim()
    if height_points(ax) < 0.8 * SMALL * abs(bottom - top):
        return
    ax.annotate(
        text,
        (0.0, row),
        xycoords=ax.get_yaxis_transform(),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL - 1,
        color=GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )
