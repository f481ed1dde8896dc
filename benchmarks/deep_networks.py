"""Deep trained networks for the benchmark of bootstrapped plans.

ResNets on CIFAR-10 have the checkpoints of others. A network in VGG's style, with average pools, is trained here once
on chest X-rays (PneumoniaMNIST), and kept under build/benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.networks import HOME
from benchmarks.ordinary_networks import SEED, fit, x_rays
from benchmarks.real_data import data_file

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The mean and standard deviation of each colour with which the checkpoints' inputs are normalised."""
WIDTHS = (16, 32, 64)
CALIBRATION = 64
"""Images with which the networks are compiled."""
TESTS = 100
"""Test images that are simulated."""
VGG_EPOCHS = 3


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


def vgg() -> nn.Module:
    """Return six convolutions with batch norm and ReLU, three average pools and two linear layers, untrained."""
    layers: list[nn.Module] = []
    before = 1
    for width in WIDTHS:
        for _ in range(2):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        layers.append(nn.AvgPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 2))


@dataclass(frozen=True, slots=True)
class DeepNetwork:
    """A trained network: `load` returns it, with images for calibration, test images and their labels."""

    name: str
    title: str
    load: Callable[[], tuple[nn.Module, Images, Images, Labels]]


def _resnet(blocks: int, checkpoint: str) -> tuple[nn.Module, Images, Images, Labels]:
    """Return the ResNet: it is calibrated on JPEG copies of test images, and judged on the first 100, lossless."""
    network = ResNet(blocks)
    # The checkpoint is a pickle of tensors, which weights_only reads without running code.
    file = data_file(f"resnet_cifar10/{checkpoint}")
    data = torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251
    weights = {key.removeprefix("module."): value for key, value in data["state_dict"].items()}
    network.load_state_dict(weights)
    copies, _ = _images("resnet_cifar10/cifar10_test_200.npz")
    tests, labels = _images("resnet_cifar10/cifar10_test_original_100.npz")
    return network.eval(), copies[:: len(copies) // CALIBRATION][:CALIBRATION], tests, labels


def _trained_vgg() -> tuple[nn.Module, Images, Images, Labels]:
    (images, labels), (tests, test_labels) = x_rays()
    torch.manual_seed(SEED)
    network = vgg()
    kept = HOME / "deep-vgg" / "weights.safetensors"
    if kept.exists():
        network.load_state_dict(load_file(kept))
    else:
        fit(network, images, labels, VGG_EPOCHS)
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_file(network.state_dict(), kept)
    return network.eval(), images[:CALIBRATION], tests[:TESTS], test_labels[:TESTS]


NETWORKS = (
    DeepNetwork("resnet20", "ResNet-20, CIFAR-10", partial(_resnet, 3, "resnet20-12fca82f.th")),
    DeepNetwork("resnet32", "ResNet-32, CIFAR-10", partial(_resnet, 5, "resnet32-d509ac18.th")),
    DeepNetwork("vgg", "VGG of six convolutions, X-rays", _trained_vgg),
)


def _images(name: str) -> tuple[Images, Labels]:
    with np.load(data_file(name)) as data:
        pixels, labels = data["images"], data["labels"]
    images = (pixels.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32), labels.astype(np.int64)
