"""Tables in .csv files whose first line names the columns, and arrays in files of any known ending."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from hetorch.cli.arrays import fit_samples, load_array
from hetorch.errors import InputError, StorageError
from hetorch.regular_files import open_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hetorch.plan import PublicPlan

    Table = dict[str, list[str]]


def load_samples(path: Path) -> NDArray[np.generic] | Table:
    """Read the samples of a file: the columns by name, as text, of a .csv whose first line holds no number, else an
    array, of text if the .csv does not hold numbers only.

    StorageError if it cannot be read, InputError if its lines differ in length or it holds no array of numbers.
    """
    if path.suffix != ".csv":
        return load_array(path)
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no readable .csv file: {error}") from None
    if all(_is_number(cell) for line in lines for cell in line):
        return load_array(path)
    names = [cell.strip() for cell in lines[0]]
    for number, line in enumerate(lines, 1):
        if len(line) != len(names):
            raise InputError(
                f"{path} has {len(line)} values in line {number}, and {len(names)} in the first one"
            )
    if any(_is_number(name) for name in names):
        return _as_text(lines)
    if len(set(names)) < len(names):
        raise InputError(f"{path} names two columns alike")
    return {name: [line[i].strip() for line in lines[1:]] for i, name in enumerate(names)}


def as_plan_input(
    plan: PublicPlan, loaded: NDArray[np.generic] | Table, path: Path
) -> NDArray[np.generic] | Table:
    """Return what load_samples returned of a file as the plan takes it; InputError for names that the plan lacks."""
    columns = plan.interface.columns
    if not isinstance(loaded, dict):
        return loaded if columns is not None and columns.features else fit_samples(loaded, plan.input_shape)
    if columns is None:
        raise InputError(
            f"the first line of {path} holds the names of the columns, and the plan has none: remove the line"
        )
    return loaded if columns.names else rows_of(loaded)


def load_labels(path: Path, count: int) -> NDArray[np.generic]:
    """Read the labels of `count` samples, numbers or text; the first line of a .csv may be a heading.

    The errors are those of load_samples.
    """
    import numpy as np

    loaded = load_samples(path)
    if not isinstance(loaded, dict):
        return loaded
    if len(next(iter(loaded.values()))) == count - 1:
        return rows_of(loaded)
    labels = np.array(list(with_numbers(loaded).values()), dtype=object).T
    return labels if any(isinstance(label, str) for label in labels.flat) else labels.astype(np.float64)


def rows_of(table: Table) -> NDArray[np.generic]:
    """Return all lines of the file as an array of text, the first one too, for a model whose columns have no names."""
    return _as_text([[name, *cells] for name, cells in table.items()]).T


def with_numbers(table: Table) -> dict[str, list[float | None] | list[str | None]]:
    """Return the columns of text as numbers where all values of a column are, and None for empty text."""
    columns: dict[str, list[float | None] | list[str | None]] = {}
    for name, cells in table.items():
        if all(not cell or _is_number(cell) for cell in cells):
            columns[name] = [float(cell) if cell else None for cell in cells]
        else:
            columns[name] = [cell or None for cell in cells]
    return columns


def _as_text(lines: list[list[str]]) -> NDArray[np.generic]:
    import numpy as np

    return np.array([[cell.strip() for cell in line] for line in lines], dtype=object)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
