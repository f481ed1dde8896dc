"""Images of Pillow as samples, without importing it: pixel values as they are, channels first as torch has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError

REFUSED_MODES = ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
"""Modes whose numbers are not brightnesses: places in a palette, or other colours."""


def image_array(value: object, input_shape: tuple[int, ...] | None = None) -> NDArray[np.generic] | None:
    """Return the pixels of an image, or of a list or tuple of images of one size; None if `value` is neither.

    Args:
        value: what the user gave.
        input_shape: the shape of a sample; grey images have no axis of channels if it has two axes.

    Returns:
        (channels, height, width) of an image, with a batch axis in front of several.

    Raises:
        InputError: an image's mode has no brightnesses, or images differ in size or mode.
    """
    if _is_image(value):
        return _pixels(value, input_shape)
    if not isinstance(value, list | tuple) or not value or not all(map(_is_image, value)):
        return None
    pixels = [_pixels(image, input_shape) for image in value]
    shapes = {one.shape for one in pixels}
    if len(shapes) > 1:
        raise InputError(
            f"the images have the shapes {' and '.join(map(str, sorted(shapes)))}; give images of one size and mode"
        )
    return np.stack(pixels)


def _is_image(value: object) -> bool:
    return all(hasattr(value, name) for name in ("getbands", "mode", "size", "tobytes"))


def _pixels(image: Any, input_shape: tuple[int, ...] | None) -> NDArray[np.generic]:
    if image.mode in REFUSED_MODES:
        raise InputError(
            f"the image has the mode {image.mode!r}, whose numbers are no brightnesses; give image.convert('RGB') or "
            "image.convert('L'), as in training"
        )
    pixels: NDArray[np.generic] = np.asarray(image)
    if pixels.ndim == 2:
        return pixels if input_shape is not None and len(input_shape) == 2 else pixels[np.newaxis]
    return np.moveaxis(pixels, -1, 0)
