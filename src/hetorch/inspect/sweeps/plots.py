"""`sweep.plot`: the pictures of a sweep, called as those of a pandas DataFrame are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetorch.inspect.sweeps.curve import draw_curve
from hetorch.inspect.sweeps.pareto import draw_pareto

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hetorch.inspect.sweeps.row import Row


class Plots:
    """The pictures of one sweep.

    Each method draws into `ax`, or into a new figure of pyplot if it is left out, and returns the axes; it shows and
    closes nothing. All raise MissingPackageError if matplotlib is not installed.
    """

    __slots__ = ("_rows", "_varied")

    def __init__(self, rows: tuple[Row, ...], varied: tuple[str, ...]) -> None:
        self._rows, self._varied = rows, varied

    def __call__(self, *, ax: Axes | None = None) -> Axes:
        """Draw time against error, as pareto() does."""
        return self.pareto(ax=ax)

    def pareto(self, x: str = "seconds", y: str = "error", *, ax: Axes | None = None) -> Axes:
        """Draw two figures of every configuration against each other, and the Pareto front, numbered with a key.

        Args:
            x: the figure on the x axis, a name in hetorch.inspect.sweeps.metrics.METRICS.
            y: the one on the y axis.
            ax: the axes to draw into.

        Raises:
            InputError: there is no such figure, or no configuration has both.
        """
        return draw_pareto(self._rows, self._varied, x, y, ax)

    def curve(self, y: str, x: str, *, ax: Axes | None = None) -> Axes:
        """Draw a figure over an option or another figure: a curve for each combination of the other options.

        Over a figure, a curve goes along the values of the last option that was given as a list.
        Configurations that were not compiled are crosses on the x axis. `sweep.where(...)` leaves fewer curves.

        Args:
            y: the figure on the y axis, a name in hetorch.inspect.sweeps.metrics.METRICS.
            x: an option that varies, or a figure.
            ax: the axes to draw into.

        Raises:
            InputError: there is no such figure or option, or no configuration has the figure.
        """
        return draw_curve(self._rows, self._varied, y, x, ax)
