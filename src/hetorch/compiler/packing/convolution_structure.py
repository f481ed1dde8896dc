"""Maps between images whose weights repeat: every pair of channels looks at the same pairs of pixels.

A convolution has millions of weights and few different diagonals. Its non-zeros are a product, a set of channel pairs
times a set of pixel pairs, and an image lies on a grid so that its slots are a sum, one term of the channel and one of
the pixel. Its diagonals are then all sums of a channel difference and a pixel difference: one circular convolution of
two indicator vectors, whatever the number of weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.packing.placements import Placement

Indices = NDArray[np.int64]

MOST_PIXEL_PAIRS = 1 << 26
"""Of a map whose product form is looked for: each pair takes a byte."""
MOST_SPECTRUM = 1 << 22
"""Blocks of ciphertexts times diagonals that are convolved at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """Non-zeros (row, column) for all pairs of `channels` and all pairs of `pixels`, each (2, pairs) of a row's and a
    column's number. `row_pixels` and `column_pixels`: pixels of a channel."""

    channels: Indices
    pixels: Indices
    row_pixels: int
    column_pixels: int


def product_form(
    rows: Indices, columns: Indices, result: tuple[int, ...], source: tuple[int, ...]
) -> Product | None:
    """The distinct non-zeros of a map from a tensor of shape `source` to one of shape `result` as a product, or None if
    they are none. A tensor that is no image is one row of pixels."""
    if len(result) != 3 or len(source) != 3 or not len(rows):
        return None
    after, before = result[1] * result[2], source[1] * source[2]
    if after * before > MOST_PIXEL_PAIRS:
        return None
    channels = _pairs(rows // after, columns // before, result[0], source[0])
    pixels = _pairs(rows % after, columns % before, after, before)
    # As many non-zeros as there could be: then each one that could be is there.
    if channels.shape[1] * pixels.shape[1] != len(rows):
        return None
    return Product(channels, pixels, after, before)


def _pairs(first: Indices, second: Indices, firsts: int, seconds: int) -> Indices:
    present = np.zeros(firsts * seconds, dtype=bool)
    present[first * seconds + second] = True
    return np.stack(np.divmod(np.flatnonzero(present), seconds))


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The slot of channel c and pixel p is `channel[c]` + `pixel[p]` modulo the period, in the ciphertext `part[c]`."""

    channel: Indices
    pixel: Indices
    part: Indices


def terms_of(placement: Placement, pixels: int) -> Terms | None:
    """How a placement of an image with so many `pixels` a channel is a sum, or None if it is not."""
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
    """As diagonals.find_indices, from the `terms_of` of both placements; None if that would take too much memory."""
    modulus = min(source.period, result.period)
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
