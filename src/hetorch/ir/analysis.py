"""The result of `hetorch.analyze`: for each operation of a model, if and how it runs on encrypted data."""

from __future__ import annotations

import html
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

COLUMNS = ("module", "operation", "how", "range", "degree", "error", "where")
COLOURS = {"exact": "green", "approximate": "yellow", "client": "cyan", "unsupported": "red"}
"""Colours of the status in a terminal."""
TEXT_WIDTH = 140
"""Width in characters of the table as plain text. Raised, fewer cells are folded."""
Status = Literal["exact", "approximate", "client", "unsupported"]


@dataclass(frozen=True, slots=True)
class AnalysisRow:
    """One operation of a model.

    name       path of its module
    kind       class of its module
    operation  name of the operation in torch
    where      file:line of the user's code that calls it; for a module inside a Sequential its path and class; or empty
    status     converted exactly, by approximation, left to the client, or not at all
    detail     the reason for the status, or the approximated functions
    nearest    the nearest alternative that works
    low, high  range of an approximation; None before ranges are known, like degree and error
    degree     degree of the polynomial
    error      largest error of the polynomial on the range
    """

    name: str
    kind: str
    operation: str
    where: str
    status: Status
    detail: str = ""
    nearest: str = ""
    low: float | None = None
    high: float | None = None
    degree: int | None = None
    error: float | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """The report on a model: if and how it runs on encrypted data.

    model      name of the model
    rows       operations in the order of the computation
    problem    the first reason why it cannot be compiled, in one sentence; empty if it can
    notes      further sentences for the user
    error      largest difference between the outputs of the network of polynomials and those of the model on the
               calibration inputs, relative to the range of the outputs; None if there is no such network
    agreement  share of the calibration inputs for which both have the same argmax; None if there is no such network
    """

    model: str
    rows: tuple[AnalysisRow, ...]
    problem: str = ""
    notes: tuple[str, ...] = ()
    error: float | None = None
    agreement: float | None = None

    @property
    def supported(self) -> bool:
        """True if the model can be compiled."""
        return not self.problem

    def __getitem__(self, status: Status) -> tuple[AnalysisRow, ...]:
        """Return the rows with one status."""
        return tuple(row for row in self.rows if row.status == status)

    def to_dict(self) -> dict[str, object]:
        """Return all fields as values that JSON can hold."""
        rows = [{name: getattr(row, name) for name in AnalysisRow.__slots__} for row in self.rows]
        return {
            "model": self.model,
            "supported": self.supported,
            "problem": self.problem,
            "notes": list(self.notes),
            "error": self.error,
            "agreement": self.agreement,
            "rows": rows,
        }

    def table(self) -> Table:
        """Return the rows as a table of rich."""
        table = Table(title=f"{self.model}: {self._verdict()}", title_justify="left")
        for name in COLUMNS:
            table.add_column(name, overflow="fold")
        for row in _merged(self.rows):
            how, span, degree, error = _cells(row)
            table.add_row(
                row.name, row.operation, Text(how, COLOURS[row.status]), span, degree, error, row.where
            )
        return table

    def __str__(self) -> str:
        """Return the table and the notes as plain text."""
        stream = io.StringIO()
        console = Console(file=stream, width=TEXT_WIDTH, no_color=True, highlight=False)
        if self.rows:
            console.print(self.table())
        else:  # The model could not be traced.
            console.print(f"{self.model}: {self._verdict()}", markup=False, soft_wrap=True)
        for line in self._sentences():
            console.print(line, markup=False, soft_wrap=True)
        return stream.getvalue().rstrip()

    def _repr_html_(self) -> str:
        """Return the analysis as a notebook shows it."""
        head = "".join(f"<th>{name}</th>" for name in COLUMNS)
        body = "".join(
            "<tr>"
            + "".join(
                f"<td>{html.escape(cell)}</td>" for cell in (row.name, row.operation, *_cells(row), row.where)
            )
            + "</tr>"
            for row in _merged(self.rows)
        )
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self._sentences())
        title = html.escape(f"{self.model}: {self._verdict()}")
        if not self.rows:
            return f"<p>{title}</p>{lines}"
        return f"<table><caption>{title}</caption><tr>{head}</tr>{body}</table>{lines}"

    def _verdict(self) -> str:
        if not self.supported:
            return "cannot be compiled as it is"
        return "can be compiled" + (", by approximation" if self["approximate"] else ", exactly")

    def _sentences(self) -> Iterable[str]:
        if self.problem:
            yield f"why not: {self.problem}"
        if self["approximate"] and self.error is not None and self.agreement is not None:
            yield (
                f"polynomials instead of the functions: outputs within {self.error:.2g} of their range, same argmax on "
                f"{self.agreement:.1%} of the inputs"
            )
        yield from self.notes


def _merged(rows: Iterable[AnalysisRow]) -> list[AnalysisRow]:
    """Return the rows, with consecutive exact operations of one module joined into one row."""
    merged: list[AnalysisRow] = []
    for row in rows:
        last = merged[-1] if merged else None
        if last and row.status == last.status == "exact" and (row.name, row.where) == (last.name, last.where):
            names = dict.fromkeys([*last.operation.split(", "), row.operation])
            merged[-1] = replace(last, operation=", ".join(names))
        else:
            merged.append(row)
    return merged


def _cells(row: AnalysisRow) -> tuple[str, str, str, str]:
    """Return the texts of four columns of a row: how, range, degree and error."""
    how: str = row.status
    if row.detail:
        how += f": {row.detail}"
    if row.nearest:
        how += f"; {row.nearest}"
    span = "" if row.low is None or row.high is None else f"{row.low:.3g} .. {row.high:.3g}"
    return (
        how,
        span,
        "" if row.degree is None else str(row.degree),
        "" if row.error is None else f"{row.error:.2g}",
    )
