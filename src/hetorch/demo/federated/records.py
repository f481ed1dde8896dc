"""The records of four hospitals: the heart disease data of UCI from files, or a synthetic stand-in."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError, StorageError
from hetorch.regular_files import read_regular

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
"""The hospitals, as their files are named: processed.NAME.data."""
FOLDER = "heart_disease"
"""The folder of the files in that of HETORCH_DATA or --data; the latter may also name it itself."""
MISSING = -9.0
"""A missing value in the files, besides an empty one and a question mark."""
FEWEST_RECORDS = 20
"""Fewest records of a file; with fewer an accuracy says nothing."""
MOST_BYTES = 1 << 24
"""Most bytes that are read of a file; the real ones have 20 KB."""
TEST_SHARE = 4
"""One record in this many is held back for the test."""

NUMBERS = {0: (54, 9), 3: (132, 18), 4: (245, 55), 7: (138, 26), 9: (0.9, 1.1), 11: (0.7, 0.9)}
"""Columns of numbers (age, blood pressure, cholesterol, heart rate, ST depression, vessels) with a typical value and
width of patients with chest pain. They are constants, so that no hospital's records decide how the others scale."""
FLAGS = (1, 5, 8)
"""Columns of 0 and 1: male, fasting blood sugar above 120 mg/dl, angina under exercise."""
CATEGORIES = {2: (1, 2, 3, 4), 6: (0, 1, 2), 10: (1, 2, 3), 12: (3, 6, 7)}
"""Columns of categories with their values: chest pain, electrocardiogram, slope of ST, thallium scan."""
ZERO_IS_MISSING = (3, 4)
"""Columns in which some hospitals write 0 for a value that was not measured."""
COLUMNS = 14
LARGEST = 4.0
"""Numbers are cut to this many widths."""
FEATURES = len(NUMBERS) + len(FLAGS) + sum(map(len, CATEGORIES.values()))

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Records:
    """Patients of one hospital, or of several: features (n, FEATURES) and labels, 1 for heart disease."""

    features: FloatArray
    labels: FloatArray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Hospital:
    """One hospital, with the records that it trains on and those for the test."""

    name: str
    train: Records
    test: Records


@dataclass(frozen=True, slots=True)
class Data:
    """All hospitals; `source` tells in words which data these are."""

    source: str
    synthetic: bool
    hospitals: tuple[Hospital, ...]


def together(parts: list[Records]) -> Records:
    """Return the records of several hospitals as one."""
    return Records(np.concatenate([p.features for p in parts]), np.concatenate([p.labels for p in parts]))


def read_hospitals(folder: Path | None, seed: int) -> Data:
    """Return the four hospitals of a folder, or synthetic ones.

    Args:
        folder: the folder of the files, or one that holds it as heart_disease. None takes that of HETORCH_DATA if it
            holds it, and the synthetic stand-in otherwise.
        seed: decides which records are held back for the test.

    Raises:
        StorageError: the folder or a file is missing or cannot be read.
        InputError: a file is not one of the heart disease data.
    """
    if folder is None:
        folder = Path(os.environ.get("HETORCH_DATA", "")) / FOLDER
        if not os.environ.get("HETORCH_DATA") or not folder.is_dir():
            tables = [synthetic_table(index) for index in range(len(HOSPITALS))]
            source = "a synthetic stand-in, drawn at random; --data names the folder of the real records"
            return Data(source, True, _split(tables, seed))
    if not folder.is_dir():
        raise StorageError(f"there is no folder {folder}; --data names that of processed.cleveland.data")
    if (folder / FOLDER).is_dir():
        folder = folder / FOLDER
    paths = [folder / f"processed.{name}.data" for name in HOSPITALS]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise StorageError(
            f"{folder} lacks {', '.join(missing)}; it must hold the four processed.*.data of UCI's heart disease data"
        )
    return Data(f"heart disease (UCI), from {folder}", False, _split([read_table(p) for p in paths], seed))


def read_table(path: Path) -> FloatArray:
    """Return the rows (n, 14) of a file, NaN for missing values; a first line of names is left out.

    Raises:
        StorageError: it cannot be read.
        InputError: a line has another number of columns or something that is no number, a label is not 0 to 4, or there
            are too few rows.
    """
    try:
        text = read_regular(path, MOST_BYTES + 1)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from None
    if len(text) > MOST_BYTES:
        raise InputError(f"{path} is larger than any file of the heart disease data")
    lines = list(csv.reader(text.decode("utf-8", "replace").splitlines()))
    named = bool(lines) and bool(lines[0]) and lines[0][0].strip()[:1].isalpha()
    rows = [_row(path, number, line) for number, line in enumerate(lines[named:], 1 + named) if line]
    if len(rows) < FEWEST_RECORDS:
        raise InputError(f"{path} has {len(rows)} records; the demonstration needs {FEWEST_RECORDS}")
    return np.array(rows)


def _row(path: Path, number: int, line: list[str]) -> list[float]:
    if len(line) != COLUMNS:
        raise InputError(
            f"{path} has {len(line)} columns in line {number}, expected {COLUMNS}: 13 attributes of a patient, and the "
            "diagnosis"
        )
    try:
        row = [float(value) if value.strip() not in ("", "?") else np.nan for value in line]
    except ValueError as error:
        raise InputError(f"{path} has something in line {number} that is no number: {error}") from None
    if row[-1] not in range(5):
        raise InputError(f"{path} has the diagnosis {line[-1]!r} in line {number}, expected 0 to 4")
    return [np.nan if value == MISSING or not np.isfinite(value) else value for value in row]


def features_of(table: FloatArray) -> Records:
    """Return the features and labels of rows as read_table gives them; a missing value becomes 0."""
    return Records(np.nan_to_num(np.column_stack(list(_features(table)))), (table[:, -1] > 0).astype(float))


def _features(table: FloatArray) -> Iterator[FloatArray]:
    for column, (centre, width) in NUMBERS.items():
        values = table[:, column]
        if column in ZERO_IS_MISSING:
            values = np.where(values == 0, np.nan, values)
        yield np.clip((values - centre) / width, -LARGEST, LARGEST)
    for column in FLAGS:
        yield table[:, column] - 0.5
    for column, names in CATEGORIES.items():
        for name in names:
            yield (table[:, column] == name).astype(float)


def _split(tables: list[FloatArray], seed: int) -> tuple[Hospital, ...]:
    hospitals = []
    for index, (name, table) in enumerate(zip(HOSPITALS, tables, strict=True)):
        # numpy's generator, and not hetorch's: the split is no secret, and must be the same for the same seed.
        order = np.random.default_rng([seed, index]).permutation(len(table))
        held_back = len(order) // TEST_SHARE
        train, test = features_of(table[order[held_back:]]), features_of(table[order[:held_back]])
        hospitals.append(Hospital(name, train, test))
    return tuple(hospitals)


SYNTHETIC_SIZES = (300, 290, 120, 200)
"""Records of the synthetic hospitals, nearly as many as the real ones have."""
SYNTHETIC_SHARES = (0.45, 0.35, 0.9, 0.75)
"""The shares of their patients with heart disease."""


def synthetic_table(index: int) -> FloatArray:
    """Return rows (n, 14) of a hospital that does not exist, by its index; the same in each run."""
    numbers = np.random.default_rng([2026, index])
    count = SYNTHETIC_SIZES[index]
    ill = numbers.random(count) < SYNTHETIC_SHARES[index]
    table = np.empty((count, COLUMNS))
    shifts = {0: 0.4, 3: 0.3, 4: 0.2, 7: -0.8, 9: 0.8, 11: 0.9}
    for column, (centre, width) in NUMBERS.items():
        values = centre + width * (numbers.normal(size=count) + shifts[column] * (ill - 0.5))
        table[:, column] = np.maximum(np.round(values, 1), 0.1)
    for column, (healthy, sick) in zip(FLAGS, ((0.6, 0.85), (0.12, 0.2), (0.15, 0.55)), strict=True):
        table[:, column] = numbers.random(count) < np.where(ill, sick, healthy)
    for column, names in CATEGORIES.items():
        last = numbers.random(count) < np.where(ill, 0.65, 0.25)
        table[:, column] = np.where(last, names[-1], numbers.choice(names[:-1], count))
    missing = numbers.random((count, COLUMNS)) < 0.1
    table[missing] = np.nan
    table[:, -1] = ill
    return table
