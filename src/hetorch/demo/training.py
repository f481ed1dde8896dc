"""A small convolutional network for the digits, with activations that encrypted arithmetic computes exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hetorch.demo.digits import Digits

CHANNELS = 8
KERNEL = 5
STRIDE = 2
HIDDEN = 64
CLASSES = 10
EPOCHS = 20
BATCH = 128
PEAK_RATE = 6e-3
MAX_SHIFT = 2
"""Largest number of pixels by which training images are shifted at random, so that 4,000 of them suffice."""


class Square(nn.Module):
    """A module that squares every element: one product of ciphertexts, and no approximation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the squares, in the same shape."""
        return torch.square(x)


class DigitNet(nn.Module):
    """A network of a convolution, batch normalisation, a square, and two linear layers with a square between them."""

    def __init__(self) -> None:
        super().__init__()
        side = (28 - KERNEL) // STRIDE + 1
        self.layers = nn.Sequential(
            nn.Conv2d(1, CHANNELS, KERNEL, stride=STRIDE),
            nn.BatchNorm2d(CHANNELS),
            Square(),
            nn.Flatten(),
            nn.Linear(CHANNELS * side * side, HIDDEN),
            Square(),
            nn.Linear(HIDDEN, CLASSES),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, 10) of images (n, 1, 28, 28)."""
        logits: torch.Tensor = self.layers(x)
        return logits


def train(digits: Digits, seed: int, progress: Callable[[int, int], None] | None = None) -> DigitNet:
    """Return a trained network in evaluation mode, the same for the same seed; this takes about five seconds."""
    # One thread, so that sums are the same on any number of cores; batches this small gain nothing from more.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _train(digits, seed, progress)
    finally:
        torch.set_num_threads(threads)


def _train(digits: Digits, seed: int, progress: Callable[[int, int], None] | None) -> DigitNet:
    torch.manual_seed(seed)
    shifts = np.random.default_rng(seed)
    model = DigitNet()
    images, labels = torch.from_numpy(digits.images), torch.from_numpy(digits.labels)
    batches = len(labels) // BATCH
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=EPOCHS * batches)
    model.train()
    for epoch in range(EPOCHS):
        order = torch.randperm(len(labels))
        for index in range(batches):
            chosen = order[index * BATCH : (index + 1) * BATCH]
            down, right = (int(s) for s in shifts.integers(-MAX_SHIFT, MAX_SHIFT + 1, 2))
            moved = torch.roll(images[chosen], (down, right), (2, 3))
            loss = nn.functional.cross_entropy(model(moved), labels[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            # Squares grow fast: without a bound on the gradient the first epochs can diverge.
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        if progress is not None:
            progress(epoch + 1, EPOCHS)
    return model.eval()


def logits_of(model: DigitNet, images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the logits in clear as float64 (n, 10), computed in float32 as in training."""
    with torch.no_grad():
        logits: NDArray[np.float32] = model(torch.from_numpy(images)).numpy()
    return logits.astype(np.float64)


def tensor_of(images: NDArray[np.float32]) -> torch.Tensor:
    """Return images as calibration inputs for the compiler."""
    return torch.from_numpy(images)
