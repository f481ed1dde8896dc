"""Images of Pillow: the numbers that torchvision's transforms have, channels first."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from hetorch.errors import InputError
from hetorch.plan.inputs import to_samples

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREYS = COLOURS[..., 0]


def test_colours_are_channels_first() -> None:
    samples, single = to_samples(Image.fromarray(COLOURS), (3, 5, 7), (0.0, 255.0))
    assert single and samples.dtype == np.float64
    for channel in range(3):
        assert np.array_equal(samples[0, channel], COLOURS[..., channel])


@pytest.mark.parametrize("shape", [(1, 5, 7), (5, 7)])
def test_greys_have_an_axis_of_channels_if_the_model_has(shape: tuple[int, ...]) -> None:
    image = Image.fromarray(GREYS)
    samples, single = to_samples(image, shape, (0.0, 255.0))
    assert single and np.array_equal(samples, GREYS.reshape(1, *shape))
    samples, single = to_samples([image, image, image], shape, (0.0, 255.0))
    assert not single and samples.shape == (3, *shape)


def test_other_numbers_than_bytes() -> None:
    for array in (GREYS.astype(np.float32) / 255, GREYS.astype(np.int32) * 1000, GREYS > 100):
        samples, _ = to_samples(Image.fromarray(array), (1, 5, 7), None)
        assert np.array_equal(samples[0, 0], array.astype(np.float64))


def test_what_is_no_picture_of_brightnesses_is_refused() -> None:
    image = Image.fromarray(COLOURS)
    for mode in ("P", "CMYK", "HSV", "YCbCr"):
        with pytest.raises(InputError, match="no brightnesses; give image"):
            to_samples(image.convert(mode), (3, 5, 7), None)
    with pytest.raises(InputError, match="one size and mode"):
        to_samples([image, image.resize((4, 4))], (3, 5, 7), None)
    with pytest.raises(InputError, match=r"shape \(4, 5, 7\)"):
        to_samples(image.convert("RGBA"), (3, 5, 7), None)
    with pytest.raises(InputError):
        to_samples([image, np.ones((3, 5, 7))], (3, 5, 7), None)
