"""The data of the notebooks on chest X-rays: PneumoniaMNIST, or handwritten digits where it is not on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hetorch.demo.digits import Digits, read_digits, split

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
Part = tuple[Images, Labels]

FILE = Path("pneumoniamnist") / "pneumoniamnist.npz"
"""The file in the folder that HETORCH_DATA names. MedMNIST publishes it under CC BY 4.0 (Yang et al., 2023)."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Images (n, 1, 28, 28) in [0, 1] and labels 0 or 1, for training, validation and the test.

    `name` tells which data these are, and `classes` names the labels.
    """

    name: str
    classes: tuple[str, str]
    train: Part
    validation: Part
    test: Part

    def shortened(self, *, images: int, tests: int, halve: bool) -> Pictures:
        """Return the first `images` of training and the first `tests` of the other parts, with `halve` in half the
        height and width.
        """
        parts = []
        for (x, y), count in ((self.train, images), (self.validation, tests), (self.test, tests)):
            parts.append((_halved(x[:count]) if halve else x[:count], y[:count]))
        return Pictures(self.name, self.classes, *parts)


def read() -> Pictures:
    """Return PneumoniaMNIST if the folder HETORCH_DATA holds it; otherwise MNIST's threes and eights, which say so."""
    path = Path(os.environ.get("HETORCH_DATA", ".")) / FILE
    if not path.is_file():
        return _digits()
    with np.load(path) as data:
        train, validation, test = (
            _part(data[f"{part}_images"] / 255.0, data[f"{part}_labels"]) for part in ("train", "val", "test")
        )
    return Pictures("PneumoniaMNIST", ("normal", "pneumonia"), train, validation, test)


def _halved(images: Images) -> Images:
    """Return images of half the height and width, each pixel the mean of four."""
    count, channels, height, width = images.shape
    blocks = images.reshape(count, channels, height // 2, 2, width // 2, 2)
    return np.asarray(blocks.mean(axis=(3, 5)), dtype=np.float32)


def _digits() -> Pictures:
    rest, test = split(read_digits(), 0)
    train, validation = split(rest, 1)
    name = f"digits of MNIST in place of X-rays (HETORCH_DATA names no folder with {FILE})"
    return Pictures(name, ("three", "eight"), *(_two_classes(part) for part in (train, validation, test)))


def _two_classes(digits: Digits) -> Part:
    chosen = np.isin(digits.labels, (3, 8))
    return _part(digits.images[chosen], digits.labels[chosen] == 8)


def _part(images: NDArray[np.floating], labels: NDArray[np.generic]) -> Part:
    return np.asarray(images, dtype=np.float32).reshape(-1, 1, 28, 28), labels.reshape(-1).astype(np.int64)
