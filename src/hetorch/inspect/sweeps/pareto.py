"""The picture of a Pareto front: two figures of every configuration, and the best compromises between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetorch.errors import InputError
from hetorch.inspect.pictures.style import BLUE, GREY, SMALL, axes_or_new, tidy
from hetorch.inspect.sweeps.figure_axis import in_units, key_below, key_height, set_axis
from hetorch.inspect.sweeps.grid import text_of
from hetorch.inspect.sweeps.metrics import front, known_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from hetorch.inspect.sweeps.row import Row

MOST_NAMED = 12
"""Configurations of the front that the key names. More would not fit below the axes."""


def draw_pareto(rows: Sequence[Row], varied: Sequence[str], x: str, y: str, ax: Axes | None = None) -> Axes:
    """Draw figure `y` over figure `x`; the front is numbered, and a key below the axes names its configurations.

    Raises:
        InputError: there is no such figure, or no configuration has both.
        MissingPackageError: matplotlib is not installed.
    """
    pairs = [
        (a, b)
        for a, b in zip(known_values(rows, x), known_values(rows, y), strict=True)
        if a is not None and b is not None
    ]
    if not pairs:
        raise InputError(f"no configuration has both {x!r} and {y!r}")
    xs, ys = in_units(x, [a for a, _ in pairs]), in_units(y, [b for _, b in pairs])
    best = front(rows, (x, y))
    ax = axes_or_new(ax, 3.6 + key_height(min(len(best), MOST_NAMED)), 6.5)
    front_x = in_units(x, [getattr(row, x) for row in best])
    front_y = in_units(y, [getattr(row, y) for row in best])
    ax.plot(xs, ys, "o", color=GREY, mfc="none", markersize=5)
    ax.plot(front_x, front_y, color=BLUE, linewidth=1, alpha=0.6, drawstyle="steps-post")
    keys = [text_of(row.options, varied) or "the only configuration" for row in best]
    for number, (one_x, one_y, key) in enumerate(zip(front_x, front_y, keys, strict=True), 1):
        label = f"{number}  {key}" if number <= MOST_NAMED else None
        ax.plot([one_x], [one_y], "o", color=BLUE, markersize=6, label=label)
        ax.annotate(
            str(number), (one_x, one_y), (4, 4), textcoords="offset points", fontsize=SMALL, color=BLUE
        )
    set_axis(ax, "x", x, xs)
    set_axis(ax, "y", y, ys)
    tidy(ax)
    ax.margins(0.08)
    key_below(ax, handlelength=0, handletextpad=0, markerscale=0)
    return ax
