"""`trace.plot`: the pictures of a trace, called as those of a pandas DataFrame are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hetorch.inspect.pictures.activation import draw_activation
from hetorch.inspect.pictures.errors import draw_errors
from hetorch.inspect.pictures.levels import draw_levels
from hetorch.inspect.pictures.noise import draw_noise
from hetorch.inspect.pictures.overview import draw_overview
from hetorch.inspect.pictures.times import draw_times
from hetorch.inspect.pictures.values import draw_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hetorch.inspect.trace_result import Trace


class Plots:
    """The pictures of one trace.

    Each method draws into `ax`, or into a new figure of pyplot if it is left out, and returns the axes; it shows and
    closes nothing. All raise MissingPackageError if matplotlib is not installed.
    """

    __slots__ = ("_trace",)

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __call__(self) -> NDArray[Any]:
        """Draw errors, noise, levels and times side by side, as far as the trace has them.

        Returns:
            The axes of each; `trace.plot()[0].figure` is their figure.
        """
        return draw_overview(self._trace)

    def errors(self, *, ax: Axes | None = None) -> Axes:
        """Draw root mean square and largest error of each layer against the model, in percent of the layer's range.

        Values outside an activation's range are told beside its row. Layers whose fusion ends elsewhere are not
        compared.

        Raises:
            InputError: the trace has no model.
        """
        return draw_errors(self._trace, ax)

    def noise(self, *, ax: Axes | None = None) -> Axes:
        """Draw the root mean square noise in each layer and the part that it added, relative to the layer's range.

        Noise of 2^-b of the range leaves b bits of precision.

        Raises:
            InputError: the trace is one without noise.
        """
        return draw_noise(self._trace, ax)

    def values(self, layer: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw histograms of a layer's values on one axis: those of the furthest run, and those in clear.

        Args:
            layer: its name; the outputs if left out.
            ax: the axes to draw into.

        Raises:
            InputError: there is no such layer, or it has no finite values.
        """
        trace = self._trace
        return draw_values(trace, trace.layers[-1] if layer is None else trace[layer], ax)

    def times(self, *, ax: Axes | None = None) -> Axes:
        """Draw the time of each layer in one run on ciphertexts, measured if the trace is encrypted, and predicted."""
        return draw_times(self._trace, ax)

    def levels(self, *, ax: Axes | None = None) -> Axes:
        """Draw the level of each layer's result: the number of rescalings that are left after it."""
        return draw_levels(self._trace, ax)

    def activation(self, layer: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw an activation and the polynomials in its place, with a histogram of the calibration values beneath.

        Channels have polynomials of their own: those of up to six of them are drawn, from the narrowest range to the
        widest. With a model the values that the activation reads on the samples are drawn too.

        Args:
            layer: the name of the activation; the first one if left out.
            ax: the axes to draw into.

        Raises:
            InputError: there is no such activation, or the plan does not keep its polynomial.
        """
        return draw_activation(self._trace, layer, ax)
