"""Pictures of the report, read back by a library that we did not write."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from hetorch.demo.png import png_url


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (3, 17)])
def test_pictures_come_back(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    kind, _, data = png_url(pixels).partition(",")
    assert kind == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert np.array_equal(np.asarray(picture), pixels)
