"""From what a user hands in to float64 samples, with every refusal said before anything is encrypted."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError

RANGE_SLACK = 1e-6
"""Relative to the width of the calibrated range: what float32 rounding may add at its ends."""


class InputRangeWarning(UserWarning):
    """An input lies outside the range that the model was calibrated for; the result may be inaccurate."""


def to_array(value: object) -> NDArray[np.float64]:
    """A numpy array, a torch tensor (any device, with or without gradient) or nested lists, as float64."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        if hasattr(value, "numpy"):
            value = value.numpy()
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"the input is no array of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise InputError(f"the input has the type {array.dtype}; real numbers are needed")
    return array.astype(np.float64)


def to_samples(
    value: object, input_shape: tuple[int, ...], input_range: tuple[float, float] | None
) -> tuple[NDArray[np.float64], bool]:
    """Samples of shape (n,) + input_shape, n >= 1, and whether the user gave one sample without a batch axis.

    InputError for a wrong shape or a value that is not finite; InputRangeWarning for a value outside `input_range`.
    """
    array = to_array(value)
    if array.shape == input_shape:
        single = True
        array = array[np.newaxis]
    elif array.ndim == len(input_shape) + 1 and array.shape[1:] == input_shape:
        single = False
        if array.shape[0] == 0:
            raise InputError("the batch is empty; give at least one sample")
    else:
        batch = ", ".join(["n", *map(str, input_shape)])
        raise InputError(
            f"the input has shape {array.shape}; the model takes one sample of shape {input_shape} "
            f"or a batch of shape ({batch})"
        )
    finite = np.isfinite(array)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise InputError(
            f"the input holds {array[where]} at index {where if not single else where[1:]}; give finite numbers"
        )
    if input_range is not None and input_range[0] < input_range[1]:
        low, high = input_range
        slack = RANGE_SLACK * max(high - low, abs(low), abs(high))
        least, greatest = float(array.min()), float(array.max())
        if least < low - slack or greatest > high + slack:
            warnings.warn(
                f"the input spans {least:.6g}..{greatest:.6g}, the model was calibrated for {low:.6g}..{high:.6g}; "
                "scale the input as in training, or compile again with calibration inputs of this range",
                InputRangeWarning,
                stacklevel=3,
            )
    return array, single
