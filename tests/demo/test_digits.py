"""The digits and their split."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch.demo.digits import Digits, read_digits, split


@pytest.fixture(scope="module")
def every() -> Digits:
    return read_digits()


def test_an_80_20_split_that_the_seed_decides(every: Digits) -> None:
    train, test = split(every, 0)
    assert train.images.shape == (4000, 1, 28, 28)
    assert test.images.shape == (1000, 1, 28, 28)
    assert train.images.dtype == np.float32
    assert (train.images.min(), train.images.max()) == (0, 1)
    assert np.array_equal(np.bincount(np.concatenate([train.labels, test.labels])), [500] * 10)
    again, other = split(every, 0)[1], split(every, 1)[1]
    assert np.array_equal(again.images, test.images)
    assert not np.array_equal(other.labels, test.labels)


def test_no_test_digit_is_trained_on(every: Digits) -> None:
    train, test = split(every, 3)
    seen = {image.tobytes() for image in train.images}
    assert not any(image.tobytes() in seen for image in test.images)
