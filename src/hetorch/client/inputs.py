"""The user's input as float64 samples; every refusal is raised before anything is encrypted."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError

RANGE_SLACK = 1e-6
"""How far float32 rounding may push a value over an end of the calibrated range, relative to the larger of the range's
width and its ends; a larger value hides small excesses from the warning."""


class InputRangeWarning(UserWarning):
    """An input lies outside the range for which the model was calibrated; far outside the result is meaningless."""


def to_array(value: object) -> NDArray[np.float64]:
    """Convert a numpy array, a torch tensor (any device, with or without gradient) or nested lists to float64.

    InputError unless it is an array of real numbers.
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        if "bfloat16" in str(getattr(value, "dtype", "")) and hasattr(value, "float"):
            value = value.float()  # exact; numpy has no such type
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
    """Return samples of shape (n,) + input_shape, n >= 1, and True if `value` is one sample without a batch axis.

    InputError for a wrong shape or a value that is not finite; warns with InputRangeWarning, at the caller's caller, if
    a value lies outside `input_range`.
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
    beyond = beyond_range(array, input_range)
    if input_range is not None and np.any(beyond):
        low, high = input_range
        whose = "" if single else f" in {np.count_nonzero(beyond)} of {len(array)} samples"
        warnings.warn(
            f"the input spans {array.min():.6g}..{array.max():.6g}, the model was calibrated for "
            f"{low:.6g}..{high:.6g}: it leaves that range by up to {beyond.max():.1%} of its width{whose}. The "
            "polynomials in place of activations hold on their ranges only, results beyond are meaningless: scale the "
            "input as in training, or compile again with calibration inputs of this range",
            InputRangeWarning,
            stacklevel=3,
        )
    return array, single


def beyond_range(
    samples: NDArray[np.float64], input_range: tuple[float, float] | None
) -> NDArray[np.float64]:
    """Return for each sample (the first axis) how far its values exceed the calibrated range, as a share of its width.

    0 within the range, within float32 rounding of its ends (RANGE_SLACK), and without a range.
    """
    if input_range is None or not input_range[0] < input_range[1]:
        return np.zeros(len(samples))
    low, high = input_range
    slack = RANGE_SLACK * max(high - low, abs(low), abs(high))
    flat = samples.reshape(len(samples), -1)
    excess = np.maximum(low - flat.min(axis=1), flat.max(axis=1) - high)
    return np.where(excess > slack, excess / (high - low), 0.0)
