"""Colours, sizes and new axes of the pictures; settings of matplotlib that the user made stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def axes_or_new(ax: Axes | None, height: float, width: float = WIDTH) -> Axes:
    """Return `ax`, or the axes of a new figure of pyplot, sized in inches; MissingPackageError without matplotlib."""
    if ax is not None:
        return ax
    with explain_missing("Trace.plot"):
        import matplotlib.pyplot as plt
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def legend_above(ax: Axes, columns: int = 3) -> None:
    """Put the legend above the axes, where it hides no data."""
    handles, labels = ax.get_legend_handles_labels()
    if labels:
        ax.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=columns,
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
