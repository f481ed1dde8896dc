"""The user's input as float64 samples, the same for the client and for a plan that runs in one process; every refusal
is raised before anything is encrypted."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError, InputRangeWarning
from hetorch.plan.images import image_array
from hetorch.quantities import count_text

RANGE_SLACK = 1e-6
"""How far float32 rounding may push a value over an end of the calibrated range, relative to the larger of the range's
width and its ends; a larger value hides small excesses from the warning."""
NEGLIGIBLE = 1e-3
"""Share of the calibrated range's width up to which an input beyond it counts as within: the ends of a sample are not
those of all data. Raised, fewer inputs are told of."""
NEAR = 0.05
"""Share of the calibrated range's width up to which an input beyond it is called near. The ranges of activations are a
tenth of their width wider on each side than calibration showed. Raised, a warning is milder for inputs that may leave
them."""
SMALL_SHARE = 0.01
"""Share of the calibrated range's largest magnitude up to which the magnitudes of a whole input are suspiciously small:
pixels in 0..1 for a model of pixels in 0..255, or shares for percentages. A larger value warns of more inputs that
happen to be small."""

Place = Sequence[np.intp] | NDArray[np.intp]
"""The index of a value among some samples."""
Source = Callable[[int], tuple[str, float, float]]
"""The name of the column from which the number at a place of a row is made, its factor and its offset."""


def to_array(value: object, input_shape: tuple[int, ...] | None = None) -> NDArray[np.float64]:
    """Convert a numpy array, a torch tensor (any device, with or without gradient), nested lists, or one or several
    images of Pillow (`image_array`, for samples of input_shape) to float64.

    InputError unless it is an array of real numbers.
    """
    pixels = image_array(value, input_shape)
    if pixels is not None:
        value = pixels
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        if "bfloat16" in str(getattr(value, "dtype", "")) and hasattr(value, "float"):
            value = value.float()  # exact; numpy has no such type
        if hasattr(value, "numpy"):
            value = value.numpy()
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"the input is no array of numbers: {str(error)[:120]}") from None
    if array.dtype.kind == "O":
        raise InputError(
            f"the input is of type {type(value).__name__} and not only of numbers; give an array, a tensor or nested "
            "lists of real numbers"
        )
    if array.dtype.kind not in "fiub":
        raise InputError(f"the input has the type {array.dtype}; real numbers are needed")
    return array.astype(np.float64)


def to_samples(
    value: object,
    input_shape: tuple[int, ...],
    input_range: tuple[float, float] | None,
    *,
    largest: float = math.inf,
    fewest: int = 0,
    refuse_far: bool = True,
    polynomials: bool = True,
    source: Source | None = None,
    stacklevel: int = 2,
) -> tuple[NDArray[np.float64], bool]:
    """Return samples of shape (n,) + input_shape, and True if `value` is one sample without a batch axis.

    Warns with InputRangeWarning if a value lies outside `input_range`, or if all of them are much smaller.

    Args:
        value: see to_array.
        input_shape: the shape of one sample.
        input_range: the smallest and the largest number of the calibration inputs; None if unknown.
        largest: the magnitude beyond which nothing can be computed on a value.
        fewest: the fewest samples of a batch.
        refuse_far: False to warn of a value beyond `largest`, for whoever must not show a server that there is one.
        polynomials: False if the model has no polynomial, and so no range beyond which one is meaningless.
        source: the columns, by which messages name values, for samples that are rows of a table.
        stacklevel: the frame that the warning names, as for warnings.warn; 2 is the caller of this function.

    Raises:
        InputError: the shape is wrong, there are too few samples, or a value is not finite or beyond `largest`.
    """
    array, single = _as_batch(to_array(value, input_shape), input_shape, fewest)
    finite = np.isfinite(array)
    if not finite.all():
        index = np.argwhere(~finite)[0]
        raise InputError(f"the input holds {_value_text(array, index, single, source)}; give finite numbers")
    far = np.abs(array) > largest
    if far.any():
        index = np.argwhere(far)[0]
        calibrated = (
            "beyond what its parameters can hold"
            if input_range is None
            else f"which was calibrated for {_range_text(input_range, index, source)}"
        )
        told = (
            f"the input holds {_value_text(array, index, single, source)}; nothing can be computed on it with this "
            f"model, {calibrated}: is it a mark for a missing value, or an input that was not scaled as in training?"
        )
        if refuse_far:
            raise InputError(told)
        warnings.warn(told, InputRangeWarning, stacklevel=stacklevel)
        return array, single
    _warn_of_range(array, input_range, single, polynomials, source, stacklevel + 1)
    return array, single


def _as_batch(
    array: NDArray[np.float64], input_shape: tuple[int, ...], fewest: int
) -> tuple[NDArray[np.float64], bool]:
    """Return samples with a batch axis, and True if there was none."""
    if array.shape == input_shape:
        return array[np.newaxis], True
    if array.ndim == len(input_shape) + 1 and array.shape[1:] == input_shape:
        if len(array) < fewest:
            raise InputError(
                "the batch is empty; give at least one sample"
                if not len(array)
                else f"the batch has {count_text(len(array), 'sample')}; give at least {fewest}"
            )
        return array, False
    batch = ", ".join(["n", *map(str, input_shape)])
    raise InputError(
        f"the input has shape {array.shape}; the model takes one sample of shape {input_shape} "
        f"or a batch of shape ({batch})"
    )


def beyond_range(
    samples: NDArray[np.float64], input_range: tuple[float, float] | None
) -> NDArray[np.float64]:
    """Return for each sample (the first axis) how far its values exceed the calibrated range, as a share of its width.

    0 within the range, negligibly beyond it (NEGLIGIBLE, RANGE_SLACK), and without a range. Of a range without a width,
    the share is of its magnitude, or of 1 if that is 0.
    """
    if input_range is None or not samples.size:
        return np.zeros(len(samples))
    low, high = input_range
    slack = max(NEGLIGIBLE * (high - low), RANGE_SLACK * max(abs(low), abs(high)))
    flat = samples.reshape(len(samples), -1)
    excess = np.maximum(low - flat.min(axis=1), flat.max(axis=1) - high)
    return np.where(excess > slack, excess / (high - low or abs(high) or 1.0), 0.0)


def _warn_of_range(
    array: NDArray[np.float64],
    input_range: tuple[float, float] | None,
    single: bool,
    polynomials: bool,
    source: Source | None,
    stacklevel: int,
) -> None:
    if input_range is None or not array.size:
        return
    low, high = input_range
    spans = f"the input spans {array.min():.6g}..{array.max():.6g}, the model was calibrated for {low:.6g}..{high:.6g}"
    beyond = beyond_range(array, input_range)
    if np.any(beyond):
        whose = "" if single else f" in {np.count_nonzero(beyond)} of {count_text(len(array), 'sample')}"
        share = f" by up to {beyond.max():.1%} of its width" if low < high else ", which has no width,"
        if source is not None:
            index = np.unravel_index(np.argmax(np.maximum(low - array, array - high)), array.shape)
            spans = (
                f"the input holds {_value_text(array, index, single, source)}, the model was calibrated for "
                f"{_range_text(input_range, index, source)}"
            )
        effect = _effect(float(beyond.max()) if low < high else np.inf) if polynomials else LINEAR
        warnings.warn(
            f"{spans}: it leaves that range{share}{whose}. {effect}",
            InputRangeWarning,
            stacklevel=stacklevel,
        )
    elif 0 < np.abs(array).max() <= SMALL_SHARE * max(-low, high):  # an input of zeros has no scale
        warnings.warn(
            f"{spans}: if the calibration inputs had another unit (pixels of 0..255 and not of 0..1, say), the result "
            "is that of another input; scale the input as they were",
            InputRangeWarning,
            stacklevel=stacklevel,
        )


LINEAR = (
    "The model has no activations, so the encrypted result is that of the model in clear there too; check that the "
    "input is scaled as in training"
)
"""The effect of an input beyond the range on a model without polynomials."""


def _effect(beyond: float) -> str:
    """Return what an input does that leaves the range by that share of its width, and what helps."""
    if beyond <= NEAR:
        return (
            "The polynomials in place of activations hold a little beyond their ranges, so results are less exact at "
            "worst; calibrate with inputs of this range if that matters"
        )
    return (
        "The polynomials in place of activations hold on their ranges only, results beyond are meaningless: scale the "
        "input as in training, or compile again with calibration inputs of this range"
    )


def _value_text(array: NDArray[np.float64], where: Place, single: bool, source: Source | None) -> str:
    """Return one of the values of some samples, and where it is in the user's array or table, in the user's unit."""
    index = tuple(int(i) for i in where)
    if source is not None:
        name, factor, offset = source(index[-1])
        row = "" if single else f", row {index[0]}"
        return f"{(array[index] - offset) / factor:g} in column {name}{row}"
    place = f"index {index[1:]}" if single else f"index {index}, in sample {index[0]}"
    return f"{array[index]:g} at {place}"


def _range_text(input_range: tuple[float, float], where: Place, source: Source | None) -> str:
    """Return the calibrated range, in the unit of the column if the samples are rows of a table."""
    _, factor, offset = ("", 1.0, 0.0) if source is None else source(int(where[-1]))
    low, high = sorted((end - offset) / factor for end in input_range)
    return f"{low:.6g}..{high:.6g}"
