"""The picture of `hetorch.inspect.resources`: busy processors and memory over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hetorch.inspect.pictures.style import BLUE, ORANGE, axes_or_new, tidy
from hetorch.inspect.resource_samples import ResourceSample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEGABYTE = 1e6


def draw_resources(samples: Sequence[ResourceSample], processors: int, ax: Axes | None = None) -> Axes:
    """Draw busy processors, and memory on an axis of its own on the right.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    ax = axes_or_new(ax, 3.0)
    seconds = [sample.seconds for sample in samples]
    memory = ax.twinx()
    memory.fill_between(
        seconds, [s.memory_bytes / MEGABYTE for s in samples], color=ORANGE, alpha=0.25, linewidth=0
    )
    memory.plot(seconds, [s.memory_bytes / MEGABYTE for s in samples], color=ORANGE, linewidth=1)
    ax.step(seconds, [sample.cpu for sample in samples], where="pre", color=BLUE, linewidth=1.2)
    ax.set_zorder(memory.get_zorder() + 1)  # the line above the area
    ax.patch.set_visible(False)
    ax.set_xlim(0, seconds[-1] if seconds else 1)
    ax.set_ylim(0, max(processors, *(sample.cpu for sample in samples)) * 1.05)
    memory.set_ylim(0)
    ax.set_xlabel("time, s")
    ax.set_ylabel(f"busy processors, of {processors}", color=BLUE)
    memory.set_ylabel("memory, MB", color=ORANGE)
    tidy(ax)
    tidy(memory)
    memory.spines["right"].set_visible(True)
    return ax
