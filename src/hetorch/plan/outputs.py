"""The results of a plan beside the range in which results of inputs like those of calibration lie."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputRangeWarning
from hetorch.quantities import count_text

NAMED = 5
"""Samples that a warning names. Raised, warnings of many samples are longer."""


def beyond_outputs(
    results: NDArray[np.float64], expected: tuple[float, float] | None, room: float = 0.0
) -> NDArray[np.bool_]:
    """Return True for each sample (the first axis) with a result outside `expected`, (low, high), by more than `room`.

    NaN is no result, and lies in every range; without a range all results do.
    """
    if expected is None or not results.size:
        return np.zeros(len(results), dtype=bool)
    low, high = expected
    flat = results.reshape(len(results), -1)
    return np.asarray(((flat < low - room) | (flat > high + room)).any(axis=1))


def warn_of_outputs(
    results: NDArray[np.float64], expected: tuple[float, float] | None, name: str, room: float = 0.0
) -> None:
    """Warn with InputRangeWarning, at the nearest caller outside hetorch, of samples of beyond_outputs.

    Args:
        results: the results (batch, ...) of the plan, before the functions that the client applies.
        expected: the lowest and the highest result that inputs like those of calibration give; None if unknown.
        name: the name of the plan.
        room: how much further than that results may lie, in their unit.
    """
    beyond = beyond_outputs(results, expected, room)
    if expected is None or not beyond.any():
        return
    low, high = expected
    values = results[beyond].ravel()
    furthest = values[np.nanargmax(np.maximum(low - values, values - high))]
    warnings.warn(
        f"{samples_text(beyond)} gave results of the model {name!r} up to {furthest:.4g}, where inputs like those of "
        f"calibration give {low:.4g}..{high:.4g}: they may be meaningless. Even if an input is within the range of the "
        "calibration inputs, activations inside the network may leave the ranges on which polynomials follow them; "
        "compare such results with the model in clear, or have it compiled again with calibration inputs like these",
        InputRangeWarning,
        stacklevel=_stacklevel(),
    )


def samples_text(chosen: NDArray[np.bool_]) -> str:
    """Return how many samples were chosen of all, and the indices of the first ones, for a message."""
    count = int(np.count_nonzero(chosen))
    names = ", ".join(map(str, np.flatnonzero(chosen)[:NAMED]))
    more = ", …" if count > NAMED else ""
    return f"{count_text(count, 'sample')} of {len(chosen)} (index {names}{more})"


def _stacklevel() -> int:
    """Return the stacklevel at which the caller of this function warns the nearest frame outside hetorch.

    Frames are counted because coroutines of the client are entered through its driver or through an event loop.
    """
    frame = inspect.currentframe()
    frame, level = None if frame is None else frame.f_back, 1
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("hetorch."):
        frame, level = frame.f_back, level + 1
    return level
