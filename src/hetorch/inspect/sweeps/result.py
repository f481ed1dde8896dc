"""The result of `hetorch.inspect.sweep`: a row for each configuration, as a table, data and pictures."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetorch.atomic_files import SHARED, write_atomically
from hetorch.errors import InputError, StorageError
from hetorch.inspect.sweeps.grid import text_of
from hetorch.inspect.sweeps.metrics import front
from hetorch.inspect.sweeps.plots import Plots
from hetorch.inspect.sweeps.row import Row
from hetorch.inspect.sweeps.store import Store
from hetorch.inspect.sweeps.table import sweep_table
from hetorch.plan.fields import Cell
from hetorch.quantities import count_text

if TYPE_CHECKING:
    from rich.table import Table

    from hetorch.inspect.shown_table import ShownTable

PARETO = ("seconds", "error")
"""The figures of a Pareto front, if none are named."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sweep:
    """The figures of many configurations; printed, it is a table, and in a notebook too.

    name    the model
    varied  the options that differ
    rows    a row for each configuration, in order; hetorch.inspect.sweeps.row.Row names the figures
    """

    name: str
    varied: tuple[str, ...]
    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, number: int) -> Row:
        return self.rows[number]

    @property
    def compiled(self) -> Sweep:
        """The configurations that were compiled."""
        return replace(self, rows=tuple(row for row in self.rows if row.is_compiled))

    @property
    def refused(self) -> Mapping[str, str]:
        """The reason for each configuration that was not compiled."""
        return {text_of(row.options, self.varied): row.reason for row in self.rows if not row.is_compiled}

    def pareto(self, *figures: str) -> Sweep:
        """Return the configurations than which no other is as good in all these figures and better in one of them.

        Args:
            figures: their names, such as "seconds" and "error"; these two if none are given. The rows are sorted by the
                first. Configurations without one of the figures are left out.

        Raises:
            InputError: there is no such figure, or no configuration has it.
        """
        return replace(self, rows=tuple(front(self.rows, figures or PARETO)))

    def where(self, **options: Cell) -> Sweep:
        """Return the configurations with these values of options; InputError if none has them."""
        rows = tuple(
            row for row in self.rows if all(row.options.get(name) == value for name, value in options.items())
        )
        if not rows:
            raise InputError(f"no configuration has {text_of(options, options)}")
        return replace(self, rows=rows)

    @property
    def plot(self) -> Plots:
        """The pictures: plot.pareto() and plot.curve("accuracy", "activation_degree")."""
        return Plots(self.rows, self.varied)

    def to_dicts(self) -> list[dict[str, object]]:
        """Return a dictionary of options and figures for each configuration."""
        return [row.to_dict() for row in self.rows]

    def to_dataframe(self) -> Any:
        """Return options and figures as a pandas DataFrame with a row for each configuration; MissingPackageError
        without pandas."""
        from hetorch.optional_packages import require

        return require("pandas", "Sweep.to_dataframe").DataFrame(self.to_dicts())

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write options and figures to a .csv file, replaced whole; StorageError if it cannot be written."""
        dicts = self.to_dicts()
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(dict.fromkeys(name for row in dicts for name in row)))
        writer.writeheader()
        writer.writerows(dicts)
        _write(path, text.getvalue().encode())

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write options and figures to a Parquet file, replaced whole.

        Raises:
            MissingPackageError: pandas or pyarrow is not installed.
            StorageError: the file cannot be written.
        """
        from hetorch.optional_packages import require

        require("pyarrow", "Sweep.to_parquet")
        frame = self.to_dataframe()
        # An option may have numbers, text and None: a column of Parquet has one type.
        for name in frame.columns:
            if frame[name].map(type).isin([str]).any():
                frame[name] = frame[name].map(lambda value: value if value is None else str(value))
        content = io.BytesIO()
        frame.to_parquet(content, engine="pyarrow", index=False)
        _write(path, content.getvalue())

    def table(self, *figures: str) -> ShownTable:
        """Return the table with * at each configuration that pareto(*figures) keeps.

        Args:
            figures: as for pareto. If no configuration was compiled, none is marked.

        Raises:
            InputError: there is no such figure, or no configuration has it.
        """
        best = self.pareto(*figures).rows if len(self.compiled) else ()
        return sweep_table(self.name, self.rows, self.varied, best, figures or PARETO)

    def __str__(self) -> str:
        return str(sweep_table(self.name, self.rows, self.varied))

    def __rich__(self) -> Table:
        """Return the table as rich draws it in a terminal."""
        return sweep_table(self.name, self.rows, self.varied).to_rich()

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        return sweep_table(self.name, self.rows, self.varied).to_html()

    def __repr__(self) -> str:
        return f"Sweep({self.name!r}: {count_text(len(self.rows), 'configuration')}; print it for its table)"


def load_sweep(folder: str | os.PathLike[str]) -> Sweep:
    """Return all results in the folder of a sweep, such as one that was interrupted, or of several.

    Raises:
        StorageError: there is no such folder, or a file in it is damaged.
    """
    rows = Store(Path(folder).expanduser()).rows()
    names = dict.fromkeys(name for row in rows for name in row.options)
    varied = tuple(name for name in names if len({row.options.get(name) for row in rows}) > 1)
    return Sweep(Path(folder).name, varied, tuple(rows))


def _write(path: str | os.PathLike[str], content: bytes) -> None:
    try:
        write_atomically(path, content, mode=SHARED)
    except OSError as error:
        raise StorageError(f"cannot write {os.fspath(path)}: {error.strerror or error}") from None
