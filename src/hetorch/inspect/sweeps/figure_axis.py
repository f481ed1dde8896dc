"""The axis of a figure of a sweep, logarithmic where that suits its values, and the key of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from hetorch.inspect.pictures.style import SMALL
from hetorch.inspect.sweeps.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHORT = 40
"""Characters of a label up to which a key has two columns."""
LINE = 0.17
"""Height of a line of a key, in inches."""
WIDE = 4.0
"""Ratio of the largest to the least value from which on an axis is logarithmic. Raised, more axes are linear."""


def set_axis(ax: Axes, which: Literal["x", "y"], name: str, values: Sequence[float]) -> None:
    """Label an axis of a figure, and make it logarithmic if its values are positive and far apart."""
    figure = METRICS[name]
    ax.set(**{f"{which}label": figure.label})
    if figure.is_log and min(values) > 0 and max(values) >= WIDE * min(values):
        from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

        ax.set(**{f"{which}scale": "log"})
        axis = ax.xaxis if which == "x" else ax.yaxis
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())


def key_below(ax: Axes, **settings: object) -> None:
    """Put the key of a picture below its axes, where the text of whole configurations has room."""
    _, labels = ax.get_legend_handles_labels()
    if labels:
        ax.legend(
            loc="upper left",
            bbox_to_anchor=(0.0, -0.17),
            ncols=2 if max(map(len, labels)) <= SHORT else 1,
            frameon=False,
            fontsize=SMALL,
            borderaxespad=0.0,
            **settings,
        )


def key_height(labels: int) -> float:
    """Return the height of a key with that many lines, in inches."""
    return LINE * labels


def in_units(name: str, values: Sequence[float]) -> list[float]:
    """Return values of a figure in the unit of its axis."""
    return [value / METRICS[name].unit for value in values]
