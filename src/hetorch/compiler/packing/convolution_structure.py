"""Convolutions and other maps between images in which every pair of channels reads the same pairs of pixels.

A convolution has millions of weights and few distinct diagonals. Its non-zeros are the Cartesian product of a set of
channel pairs and a set of pixel pairs, and on a grid the slot of an element is the sum of a term for its channel and a
term for its pixel. The diagonals are then all sums of a channel difference and a pixel difference: one circular
convolution of two indicator vectors finds them, whatever the number of weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hetorch.compiler.packing.placements import Indices, Placement, image_shape, is_image
from hetorch.compiler.packing.runs import modulus_between

MOST_PIXEL_PAIRS = 1 << 26
"""Largest number of (output pixel, input pixel) pairs of a map for which the product form is looked for, at one byte a
pair (64 MB). Raised, larger images are searched quickly too, and take more memory meanwhile."""
MOST_SPECTRUM = 1 << 22
"""Largest size, ciphertext blocks times diagonals, of the circular convolution: arrays of 8-byte numbers, 32 MB each.
Raised, larger maps are searched quickly too, and take more memory meanwhile."""


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """The product form of a map: its non-zeros (row, column) are all pairs of `channels` with all pairs of `pixels`.

    `channels` and `pixels`: int64 (2, pairs), first the indices in the result, then those in the input. `row_pixels`
    and `column_pixels`: the number of pixels per channel of the result and of the input.
    """

    channels: Indices
    pixels: Indices
    row_pixels: int
    column_pixels: int


def product_form(
    rows: Indices, columns: Indices, result: tuple[int, ...], source: tuple[int, ...]
) -> Product | None:
    """Return the distinct non-zeros of a map as a product; None if they are not one, or not between images.

    `source` and `result` are the shapes of the input and of the result.
    """
    if not (is_image(result) and is_image(source) and len(rows)):
        return None
    (outs, *after_pixels), (ins, *before_pixels) = image_shape(result), image_shape(source)
    after, before = math.prod(after_pixels), math.prod(before_pixels)
    if after * before > MOST_PIXEL_PAIRS:
        return None
    channels = _pairs(rows // after, columns // before, outs, ins)
    pixels = _pairs(rows % after, columns % before, after, before)
    # The non-zeros are a subset of the product: they are all of it if there are as many.
    if channels.shape[1] * pixels.shape[1] != len(rows):
        return None
    return Product(channels, pixels, after, before)


def _pairs(first: Indices, second: Indices, firsts: int, seconds: int) -> Indices:
    present = np.zeros(firsts * seconds, dtype=bool)
    present[first * seconds + second] = True
    return np.stack(np.divmod(np.flatnonzero(present), seconds))


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """A placement as a sum: pixel p of channel c lies in slot `channel[c]` + `pixel[p]` modulo the period, in the
    ciphertext `part[c]`."""

    channel: Indices
    pixel: Indices
    part: Indices


def terms_of(placement: Placement, pixels: int) -> Terms | None:
    """Return the placement of an image with `pixels` pixels per channel as a sum; None if it is not one."""
    part, slot = np.divmod(placement.positions[0].reshape(-1, pixels), placement.period)
    channel, pixel = slot[:, 0], slot[0] - slot[0, 0]
    if placement.positions.shape[0] != 1 or np.any(part != part[:, :1]):
        return None
    if np.any((slot - channel[:, None] - pixel) % placement.period):
        return None
    return Terms(channel, pixel, part[:, 0])


def product_indices(
    product: Product, source: Placement, result: Placement, before: Terms, after: Terms
) -> tuple[Indices, int] | None:
    """Return the result of diagonals.find_indices, computed from the product form; None if it takes too much memory.

    `before` and `after` are the `terms_of` of `source` and `result`.
    """
    modulus = modulus_between(source, result)
    row, column = product.channels
    block = after.part[row] * source.parts + before.part[column]
    blocks, number = np.unique(block, return_inverse=True)
    if len(blocks) * modulus > MOST_SPECTRUM:
        return None
    channels = np.zeros((len(blocks), modulus))
    channels[number, (before.channel[column] - after.channel[row]) % modulus] = 1.0
    pixels = np.zeros(modulus)
    pixels[(before.pixel[product.pixels[1]] - after.pixel[product.pixels[0]]) % modulus] = 1.0
    # Counts are whole numbers up to the modulus: the rounding of the transforms is far below one half.
    sums = np.fft.irfft(np.fft.rfft(channels) * np.fft.rfft(pixels), n=modulus) if modulus > 1 else channels
    place, k = np.nonzero(sums > 0.5)
    return np.asarray(blocks[place] * modulus + k), modulus
