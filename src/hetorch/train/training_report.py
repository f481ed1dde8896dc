"""The result of `hetorch.train.report`, as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hetorch.preformatted import preformatted
from hetorch.quantities import count_text, size_text, time_text


@dataclass(frozen=True, slots=True)
class ActivationRow:
    """One activation: its path, what it replaced, degree and channels, the recorded range of all channels, and the
    share of the values of the report's data outside the range of their channel."""

    path: str
    before: str
    degree: int
    channels: int
    low: float
    high: float
    outside: float


@dataclass(frozen=True, slots=True)
class Network:
    """One form of the network. A figure is None where it is not known.

    accuracy    share of right classes in clear
    levels      levels of the plan's modulus chain
    seconds     predicted time of a run on the server
    key_bytes   size of the evaluation keys, as they are uploaded
    batch_size  most samples of one run
    problem     why it does not compile; empty if it does, or if it was not tried
    """

    accuracy: float | None = None
    levels: int | None = None
    seconds: float | None = None
    key_bytes: int | None = None
    batch_size: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """A model that was trained for encryption, beside the one it was.

    name         class of the model
    samples      number of samples that the models ran on
    activations  a row for each activation
    original     the model before it was prepared; None if it was not given
    exact        the trained weights with exact activations
    polynomial   the trained weights with polynomials; None before the conversion
    difference   root mean square difference of the trained model's outputs from the original's, relative to the range
                 of these; None without the original
    """

    name: str
    samples: int
    activations: tuple[ActivationRow, ...]
    original: Network | None
    exact: Network
    polynomial: Network | None
    difference: float | None

    @property
    def outside(self) -> float:
        """The largest share of values outside their range over the activations."""
        return max(row.outside for row in self.activations)

    def to_dict(self) -> dict[str, object]:
        """Return all fields as values that JSON can hold."""
        return dataclasses.asdict(self)

    def __repr__(self) -> str:
        """Return both tables as text."""
        rows = [
            (
                row.path, row.before, str(row.degree), str(row.channels), f"{row.low:.3g} .. {row.high:.3g}",
                f"{row.outside:.1e}",
            )
            for row in self.activations
        ]  # fmt: skip
        headings = ("activation", "before", "degree", "channels", "range", "outside")
        return "\n".join(
            [
                f"{self.name}: {count_text(self.samples, 'sample')}",
                *aligned([headings, *rows], left=2),
                "",
                *aligned(self._comparison(), left=1),
                *self._notes(),
            ]
        )

    def _repr_html_(self) -> str:
        """Return the tables as a notebook shows them."""
        return preformatted(repr(self))

    def _comparison(self) -> list[tuple[str, ...]]:
        columns = [("original", self.original), ("exact", self.exact), ("polynomials", self.polynomial)]
        shown = [(title, network) for title, network in columns if network is not None]
        figures: tuple[tuple[str, str, Callable[[Network], str]], ...] = (
            ("accuracy in clear", "accuracy", lambda network: f"{network.accuracy:.2%}"),
            ("levels", "levels", lambda network: str(network.levels)),
            ("predicted server time", "seconds", lambda network: time_text(network.seconds or 0.0)),
            ("samples in a run", "batch_size", lambda network: str(network.batch_size)),
            ("evaluation keys", "key_bytes", lambda network: size_text(network.key_bytes or 0)),
        )
        table = [("", *(title for title, _ in shown))]
        for title, field, text in figures:
            if any(getattr(network, field) is not None for _, network in shown):
                cells = ("-" if getattr(network, field) is None else text(network) for _, network in shown)
                table.append((title, *cells))
        return table

    def _notes(self) -> list[str]:
        notes = []
        if self.difference is not None:
            notes.append(f"outputs differ from the original's by {self.difference:.1e} of their range")
        for title, network in (("original", self.original), ("trained model", self.polynomial)):
            if network is not None and network.problem:
                notes.append(f"the {title} does not compile: {network.problem}")
        return notes


def aligned(rows: Sequence[tuple[str, ...]], left: int) -> list[str]:
    """Return the rows as lines, the first `left` columns to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
