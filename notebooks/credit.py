"""The data of the notebook on credit scoring: German credit, or tumours where it is not on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FILE = Path("german_credit") / "german.data"
"""The file in the folder that HETORCH_DATA names. UCI publishes it as Statlog (German Credit Data) under CC BY 4.0."""

COLUMNS = (
    *(
        "account",
        "months",
        "history",
        "purpose",
        "amount",
        "savings",
        "employed",
        "rate",
        "status",
        "debtors",
    ),
    *(
        "resident",
        "property",
        "age",
        "plans",
        "housing",
        "credits",
        "job",
        "dependants",
        "telephone",
        "foreign",
    ),
)
"""The attributes of an applicant, in the order of the file; those that begin with A and a digit are categories."""


@dataclass(frozen=True, slots=True)
class Applicants:
    """A table of applicants and their labels, 1 for a bad risk, in two parts.

    `name` tells which data these are; `numbers` and `categories` are the names of the columns.
    """

    name: str
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    train: Any
    train_labels: NDArray[np.int64]
    test: Any
    test_labels: NDArray[np.int64]


def read() -> Applicants:
    """Return German credit if the folder HETORCH_DATA holds it; otherwise scikit-learn's tumours, which say so."""
    path = Path(os.environ.get("HETORCH_DATA", ".")) / FILE
    if not path.is_file():
        return _tumours()
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    columns: dict[str, Any] = dict(zip(COLUMNS, zip(*(row[:-1] for row in rows), strict=True), strict=True))
    categories = tuple(name for name, values in columns.items() if values[0].startswith("A"))
    numbers = tuple(name for name in COLUMNS if name not in categories)
    table = pd.DataFrame(columns).astype(dict.fromkeys(numbers, float))
    labels = np.array([row[-1] == "2" for row in rows], dtype=np.int64)
    return _split("German credit", numbers, categories, table, labels)


def _tumours() -> Applicants:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    name = f"tumours of scikit-learn in place of applicants (HETORCH_DATA names no folder with {FILE})"
    return _split(name, tuple(data.data.columns), (), data.data, 1 - data.target.to_numpy().astype(np.int64))


def _split(
    name: str, numbers: tuple[str, ...], categories: tuple[str, ...], table: Any, labels: NDArray[np.int64]
) -> Applicants:
    """Return the table in an order drawn from a seed, the last third of it for the test."""
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[: len(order) * 2 // 3], order[len(order) * 2 // 3 :]
    return Applicants(
        name, numbers, categories, table.iloc[train], labels[train], table.iloc[test], labels[test]
    )
