"""The picture of a figure over an option or another figure, one curve for each combination of the other options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeGuard

from hetorch.errors import InputError
from hetorch.inspect.pictures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    axes_or_new,
    tidy,
)
from hetorch.inspect.sweeps.figure_axis import WIDE, in_units, key_below, key_height, set_axis
from hetorch.inspect.sweeps.grid import text_of, value_text
from hetorch.inspect.sweeps.metrics import METRICS, known_values
from hetorch.inspect.sweeps.row import Row
from hetorch.plan.fields import Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Colours and markers of the curves, in turn; as their numbers have no common factor, 35 curves differ."""


def draw_curve(rows: Sequence[Row], varied: Sequence[str], y: str, x: str, ax: Axes | None = None) -> Axes:
    """Draw figure `y` over `x`.

    Raises:
        InputError: there is no such figure or option, or no configuration has the figure.
        MissingPackageError: matplotlib is not installed.
    """
    known_values(rows, y)
    is_option = any(x in row.options for row in rows)
    if not is_option and x not in METRICS:
        options = ", ".join(varied) or "none"
        raise InputError(
            f"{x!r} is neither an option of this sweep ({options}) nor a figure: {', '.join(METRICS)}"
        )
    if not is_option:
        known_values(rows, x)
    # Over a figure, a curve goes along the option that varies fastest.
    others = [name for name in varied if name != x] if is_option else list(varied[:-1])
    curves: dict[str, list[Row]] = {}
    for row in rows:
        curves.setdefault(text_of(row.options, others), []).append(row)
    ax = axes_or_new(ax, 3.6 + key_height(len(curves)), 6.5)
    asked = list(dict.fromkeys(row.options.get(x) for row in rows)) if is_option else []
    places = _places(asked)
    drawn: list[tuple[float, float]] = []
    for number, (label, own) in enumerate(curves.items()):
        points = [
            (places[row.options.get(x)] if is_option else getattr(row, x) / METRICS[x].unit, getattr(row, y))
            for row in own
            if getattr(row, y) is not None and (is_option or getattr(row, x) is not None)
        ]
        points = sorted((one_x, in_units(y, [one_y])[0]) for one_x, one_y in points)
        if not points:
            continue
        drawn += points
        ax.plot(
            [point[0] for point in points],
            [point[1] for point in points],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=6,
            markerfacecolor="none",
            linewidth=1.2,
            label=label or None,
        )
    if is_option:
        _mark_refused(ax, rows, x, places)
        _set_option_axis(ax, x, asked, places)
    else:
        set_axis(ax, "x", x, [point[0] for point in drawn])
    set_axis(ax, "y", y, [point[1] for point in drawn])
    tidy(ax)
    ax.margins(0.08)
    key_below(ax)
    return ax


def _are_numbers(values: Sequence[Cell]) -> TypeGuard[Sequence[float]]:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _places(values: Sequence[Cell]) -> dict[Cell, float]:
    """Return the place of each value on the axis: the number itself, or its turn if some value is no number."""
    if _are_numbers(values):
        return {value: float(value) for value in values}
    return {value: float(place) for place, value in enumerate(values)}


def _set_option_axis(ax: Axes, name: str, values: Sequence[Cell], places: dict[Cell, float]) -> None:
    """Label the axis of an option with its values."""
    ax.set_xlabel(name)
    if _are_numbers(values) and min(values) > 0 and max(values) >= WIDE * min(values):
        ax.set_xscale("log", base=2)
    ax.set_xticks([places[value] for value in values], [value_text(value) for value in values])
    ax.set_xticks([], minor=True)


def _mark_refused(ax: Axes, rows: Sequence[Row], name: str, places: dict[Cell, float]) -> None:
    """Draw a cross on the x axis where some configuration was not compiled."""
    refused = sorted({places[row.options.get(name)] for row in rows if not row.is_compiled})
    if refused:
        ax.plot(
            refused,
            [0.0] * len(refused),
            "x",
            color=GREY,
            markersize=6,
            transform=ax.get_xaxis_transform(),
            clip_on=False,
            label="not compiled",
        )
