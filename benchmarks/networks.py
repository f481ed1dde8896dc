"""The networks of the benchmarks, trained once on real digits and kept under build/benchmarks for every side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.peers.environment import ROOT
from hetorch.demo.digits import read_digits, split

Array = NDArray[np.float32]
HOME = ROOT / "build" / "benchmarks"
BATCH, RATE, SEED = 64, 3e-3, 7
EDITION = 1
"""Part of the names of the files; to be raised when a network or its training changes, so that it is trained again."""


class Square(nn.Module):
    """A module that squares every element."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the squares, in the same shape."""
        return x * x


@dataclass(frozen=True, slots=True)
class Network:
    """A network to be trained. `title` is its name in a row.

    `data` is "mnist" for images (1, 28, 28), "small" for scikit-learn's 8x8 digits (64,), or "features" for 20 normal
    numbers and weights that are seeded but not trained.
    """

    name: str
    title: str
    build: Callable[[], nn.Sequential]
    data: str = "mnist"
    epochs: int = 8


@dataclass(frozen=True, slots=True)
class Prepared:
    """A trained network, its test samples with their labels and logits, and the folder from which workers read it."""

    network: Network
    module: nn.Sequential
    calibration: torch.Tensor
    samples: Array
    labels: NDArray[np.int64]
    logits: Array
    folder: Path

    @property
    def accuracy(self) -> float:
        """The accuracy in clear, on all test samples."""
        return float((self.logits.argmax(1) == self.labels).mean())


def _mlp() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, 128), Square(), nn.Linear(128, 128), Square(), nn.Linear(128, 10))
    )


def _lola() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 5, 2, stride=2), Square(), nn.Flatten(), nn.Linear(980, 100), Square()),
        nn.Linear(100, 10),
    )


def _lenet() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5, stride=2, padding=2), nn.BatchNorm2d(32), Square()),
        *(nn.Conv2d(32, 64, 5, stride=2, padding=2), nn.BatchNorm2d(64), Square()),
        *(nn.Flatten(), nn.Linear(3136, 512), nn.BatchNorm1d(512), Square(), nn.Linear(512, 10)),
    )


def _cnn() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 7, stride=3), Square(), nn.Flatten(), nn.Linear(256, 64), Square()),
        nn.Linear(64, 10),
    )


def _dense() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), Square(), nn.Linear(128, 10))


def _relu() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    )


def _small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def _credit() -> nn.Sequential:
    return nn.Sequential(nn.Linear(20, 16), Square(), nn.Linear(16, 1))


NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network("mlp", "MLP 784-128-128-10 with squares", _mlp),
        Network("lola", "LoLA: Conv(1,5,2x2,s2) - x^2 - 980-100 - x^2 - 100-10", _lola),
        Network(
            "lenet",
            "LeNet: Conv(1,32,5,s2,p2)-BN-x^2-Conv(32,64,5,s2,p2)-BN-x^2-3136-512-BN-x^2-512-10",
            _lenet,
            epochs=3,
        ),
        Network("cnn", "CNN: Conv(1,4,7x7,s3) - x^2 - 256-64 - x^2 - 64-10", _cnn),
        Network("dense", "MLP: 784-128 - x^2 - 128-10", _dense),
        Network("relu", "MLP: 784-128 - ReLU - 128-64 - ReLU - 64-10", _relu),
        Network("small", "MLP on 8x8 digits: 64-32 - ReLU - 32-10", _small, "small", 40),
        Network("credit", "credit score: 20-16 - x^2 - 16-1", _credit, "features"),
    )
}
ENGINE_NETWORKS = ("mlp", "lola", "lenet")


def prepare(name: str) -> Prepared:
    """Return the network of that name, trained now if it is not there yet, and write its files for the workers."""
    network = NETWORKS[name]
    (train_x, train_y), (test_x, test_y) = _data(network)
    folder = HOME / f"{name}-{EDITION}"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    module = network.build()
    kept = folder / "weights.safetensors"
    if kept.exists():
        module.load_state_dict(load_file(kept))
        module.eval()
    else:
        if network.data != "features":
            _train(module, train_x, train_y, network.epochs)
        module.eval()
        save_file(module.state_dict(), kept)
    with torch.no_grad():
        logits: Array = module(torch.from_numpy(test_x)).numpy()
    _write_for_workers(folder, module, test_x, train_x)
    return Prepared(network, module, torch.from_numpy(train_x[:512]), test_x, test_y, logits, folder)


def _data(
    network: Network,
) -> tuple[tuple[Array, NDArray[np.int64]], tuple[Array, NDArray[np.int64]]]:
    """Return images in [0, 1] and labels, for training and for the test; the split is the same each time."""
    if network.data == "features":
        features = np.random.default_rng(SEED).normal(size=(6144, 20)).astype(np.float32)
        zeros = np.zeros(len(features), dtype=np.int64)
        return (features[:2048], zeros[:2048]), (features[2048:], zeros[2048:])
    if network.data == "mnist":
        train, test = split(read_digits(), SEED)
        return (train.images, train.labels), (test.images, test.labels)
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = (digits.data / 16).astype(np.float32), digits.target.astype(np.int64)
    order = np.random.default_rng(SEED).permutation(len(labels))
    test_part, train_part = order[:360], order[360:]
    return (images[train_part], labels[train_part]), (images[test_part], labels[test_part])


def _train(module: nn.Sequential, images: Array, labels: NDArray[np.int64], epochs: int) -> None:
    """Train for a few epochs: the benchmarks need weights of the usual sizes, not the last tenth of a percent."""
    inputs, wanted = torch.from_numpy(images), torch.from_numpy(labels)
    steps = len(wanted) // BATCH
    optimiser = torch.optim.AdamW(module.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * steps)
    module.train()
    for _ in range(epochs):
        order = torch.randperm(len(wanted))
        for index in range(steps):
            chosen = order[index * BATCH : (index + 1) * BATCH]
            loss = nn.functional.cross_entropy(module(inputs[chosen]), wanted[chosen], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            # Squares grow fast: without a bound on the gradient the first steps can diverge.
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            schedule.step()


def _write_for_workers(folder: Path, module: nn.Sequential, samples: Array, calibration: Array) -> None:
    """Write layers.json and arrays.npz, from which a peer builds the network with its own classes."""
    layers: list[dict[str, object]] = []
    arrays: dict[str, NDArray[np.generic]] = {"samples": samples, "calibration": calibration[:128]}
    for index, layer in enumerate(module):
        entry: dict[str, object] = {"kind": type(layer).__name__, "index": index}
        if isinstance(layer, nn.Linear):
            entry |= {"inputs": layer.in_features, "outputs": layer.out_features}
        elif isinstance(layer, nn.Conv2d):
            entry |= {"inputs": layer.in_channels, "outputs": layer.out_channels}
            entry |= {"kernel": layer.kernel_size[0], "stride": layer.stride[0], "padding": layer.padding[0]}
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            entry |= {"outputs": layer.num_features}
        layers.append(entry)
        arrays |= {f"{index}.{key}": value.numpy() for key, value in layer.state_dict().items()}
    (folder / "layers.json").write_text(json.dumps(layers, indent=1))
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
