"""A table of text with lines below it: as plain text, for rich, and as HTML without JavaScript."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

TABLE, CELL, NUMBER = "font-size:smaller", "padding:2px 5px", "white-space:nowrap"
"""Styles of HTML: a table of fourteen columns is about as wide as a page of JupyterLab, and no number is broken."""


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table.

    title  above it
    heads  the headings of the columns
    rows   the cells of each row
    left   number of columns that are aligned on the left; numbers follow
    notes  lines below it
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    notes: Sequence[str] = ()

    def without_empty_columns(self) -> ShownTable:
        """Return the table without the columns that have "-" in all rows."""
        kept = [
            number
            for number in range(len(self.heads))
            if any(row[number] not in ("-", "") for row in self.rows)
        ]
        rows = [[row[number] for number in kept] for row in self.rows]
        left = sum(number < self.left for number in kept)
        return ShownTable(self.title, [self.heads[number] for number in kept], rows, left, self.notes)

    def __str__(self) -> str:
        lines = [self.heads, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.heads))]
        text = [
            "  ".join(
                cell.ljust(width) if column < self.left else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        text.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self.title, *text, *self.notes])

    def to_html(self) -> str:
        """Return the table in HTML, which needs neither JavaScript nor a style sheet."""
        head = "".join(f'<th style="{CELL}">{html.escape(cell)}</th>' for cell in self.heads)
        body = "".join(f"<tr>{''.join(map(self._cell, range(len(row)), row))}</tr>" for row in self.rows)
        notes = "".join(f"<p>{html.escape(line)}</p>" for line in self.notes)
        return (
            f"<div><p><b>{html.escape(self.title)}</b></p><table style='{TABLE}'><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{notes}</div>"
        )

    def _cell(self, column: int, text: str) -> str:
        style = CELL if column < self.left else f"{CELL};{NUMBER}"
        return f'<td style="{style}">{html.escape(text)}</td>'

    def to_rich(self) -> Table:
        """Return the table as rich draws it."""
        from rich.markup import escape
        from rich.table import Table

        table: Any = Table(title=escape(self.title), caption=escape("\n".join(self.notes)))
        for number, head in enumerate(self.heads):
            table.add_column(escape(head), justify="left" if number < self.left else "right")
        for row in self.rows:
            table.add_row(*map(escape, row))
        drawn: Table = table
        return drawn
