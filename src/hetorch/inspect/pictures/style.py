"""Colours, sizes and new axes of the pictures; settings of matplotlib that the user made stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetorch.optional_packages import explain_missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, VERMILLION, GREEN, ORANGE, SKY, GREY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#56B4E9",
    "#8C8C8C",
)
"""Colours of Okabe and Ito, "Color Universal Design" (2008), for any colour vision; and grey."""
SMALL = 8
"""Size of labels and legends, in points."""
WIDTH = 7.0
"""Width of a picture, in inches."""

LETTER, KEY = 0.55, 32.0
"""Width of a letter as a share of its size, and of what a legend has beside its text, in points; about, for columns."""


def axes_or_new(ax: Axes | None, height: float, width: float = WIDTH) -> Axes:
    """Return `ax`, or the axes of a new figure of pyplot, sized in inches; MissingPackageError without matplotlib."""
    if ax is not None:
        return ax
    with explain_missing("Trace.plot"):
        import matplotlib.pyplot as plt
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def height_points(ax: Axes) -> float:
    """Return the height of the axes in points, as far as it is known before the figure is laid out."""
    figure: Any = ax.get_figure(root=True)
    return float(ax.get_window_extent().height * 72 / figure.dpi)


def legend_above(ax: Axes) -> None:
    """Put the legend above the axes, where it hides no data, in as many columns as fit."""
    handles, labels = ax.get_legend_handles_labels()
    longest = max(map(len, labels), default=0) * SMALL * LETTER + KEY
    columns = max(1, int(ax.get_window_extent().width * 72 / ax.figure.dpi / longest)) if labels else 1
    if labels:
        ax.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=min(columns, len(labels)),
            frameon=False,
            fontsize=SMALL,
            borderaxespad=0.2,
            handletextpad=0.5,
            columnspacing=1.2,
        )


def tidy(ax: Axes) -> None:
    """Take off the upper and the right frame and set the size of the labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=SMALL)
    ax.xaxis.label.set_fontsize(SMALL + 1)
    ax.yaxis.label.set_fontsize(SMALL + 1)
