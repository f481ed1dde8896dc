"""Deep trained networks for the benchmark of bootstrapped plans: ResNets on CIFAR-10, with checkpoints of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.real_data import data_file

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The mean and standard deviation of each colour with which the checkpoints' inputs are normalised."""
WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two convolutions whose input is added to their result; where it shrinks, every second pixel of it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, (outputs - inputs) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))
        return torch.relu(x + y)


class ResNet(nn.Module):
    """A ResNet of three stages of `blocks` blocks, with the names of akamaster/pytorch_resnet_cifar10."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        before = WIDTHS[0]
        for number, width in enumerate(WIDTHS, 1):
            first = Block(before, width)
            setattr(
                self, f"layer{number}", nn.Sequential(first, *(Block(width, width) for _ in range(1, blocks)))
            )
            before = width
        self.linear = nn.Linear(WIDTHS[-1], 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        for number in range(1, len(WIDTHS) + 1):
            x = getattr(self, f"layer{number}")(x)
        result: torch.Tensor = self.linear(nn.functional.avg_pool2d(x, 8).flatten(1))
        return result


@dataclass(frozen=True, slots=True)
class DeepNetwork:
    """A network with a checkpoint in `file`, and the number of its images for calibration."""

    name: str
    title: str
    blocks: int
    file: str

    def load(self) -> nn.Module:
        """Return the network with the checkpoint's weights."""
        network = ResNet(self.blocks)
        # The checkpoint is a pickle of tensors, which weights_only reads without running code.
        file = data_file(f"resnet_cifar10/{self.file}")
        data = torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251
        weights = {key.removeprefix("module."): value for key, value in data["state_dict"].items()}
        network.load_state_dict(weights)
        return network.eval()


NETWORKS = (
    DeepNetwork("resnet20", "ResNet-20, CIFAR-10", 3, "resnet20-12fca82f.th"),
    DeepNetwork("resnet32", "ResNet-32, CIFAR-10", 5, "resnet32-d509ac18.th"),
)


def calibration_images(count: int) -> Images:
    """Return `count` of the 200 images from JPEG copies, as many of each class; no network is judged on them."""
    images, _ = _images("resnet_cifar10/cifar10_test_200.npz")
    return images[:: len(images) // count][:count]


def test_images() -> tuple[Images, Labels]:
    """Return the first 100 test images, lossless, and their labels."""
    return _images("resnet_cifar10/cifar10_test_original_100.npz")


def _images(name: str) -> tuple[Images, Labels]:
    with np.load(data_file(name)) as data:
        pixels, labels = data["images"], data["labels"]
    images = (pixels.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32), labels.astype(np.int64)
