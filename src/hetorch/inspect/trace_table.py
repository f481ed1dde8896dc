"""A trace as a table: the same cells as plain text, for rich and as HTML without JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hetorch.inspect.layer_trace import Distribution, Errors, LayerTrace
from hetorch.inspect.shown_table import ShownTable
from hetorch.quantities import size_text, time_text

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = (
    "layer", "kind", "level", "scale", "values", "noise", "bits", "added", "bound", "error", "outside", "time",
    "rotations", "memory",
)  # fmt: skip
"""The columns; those that are empty in all rows are left out."""
EXPLANATION = (
    "noise: largest error of encryption; bits: precision that it leaves; added: noise of the layer itself; bound: "
    "predicted bound of its part in the outputs' error, of their range; error: root mean square difference from the "
    "model, of the layer's range; outside: values outside the activation's fitted range"
)
"""The meaning of the columns, below the table."""


def cells(layers: Sequence[LayerTrace]) -> list[tuple[str, ...]]:
    """Return the headings and a row for each layer, without columns that are empty everywhere."""
    rows = [_row(layer) for layer in layers]
    kept = [number for number in range(len(HEADINGS)) if any(row[number] != "-" for row in rows)]
    return [tuple(line[number] for number in kept) for line in (HEADINGS, *rows)]


def _row(layer: LayerTrace) -> tuple[str, ...]:
    furthest = layer.encrypted or layer.simulated or layer.cleartext
    seconds = layer.predicted_seconds if layer.seconds is None else layer.seconds
    return (
        layer.name,
        layer.kind or "-",
        str(layer.level),
        f"2^{layer.scale_bits:.1f}",
        "-" if furthest is None else _span(furthest),
        _number(None if layer.noise is None else layer.noise.worst),
        _bits(layer.noise),
        _number(layer.noise_added),
        _number(layer.noise_bound or None),
        _share(None if layer.error is None else layer.error.relative),
        _share(layer.outside),
        time_text(seconds) if seconds else "-",
        str(layer.rotations or "-"),
        size_text(layer.memory_bytes),
    )


def _span(values: Distribution) -> str:
    return f"{values.low:.3g}..{values.high:.3g}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _bits(errors: Errors | None) -> str:
    return "-" if errors is None else f"{errors.bits:.1f}"


def as_text(title: str, layers: Sequence[LayerTrace], summary: Sequence[str]) -> str:
    """Return the table in plain text."""
    lines = cells(layers)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    left = min(2, len(widths))
    text = []
    for line in lines:
        padded = [
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  ".join(padded).rstrip())
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([title, *text, *summary, EXPLANATION])


def as_html(title: str, layers: Sequence[LayerTrace], summary: Sequence[str]) -> str:
    """Return the table in HTML, which needs neither JavaScript nor a style sheet."""
    heads, *rows = cells(layers)
    return ShownTable(title, heads, rows, 2, (*summary, EXPLANATION)).to_html()


def as_rich(title: str, layers: Sequence[LayerTrace], summary: Sequence[str]) -> Table:
    """Return the table as rich draws it."""
    from rich.markup import escape
    from rich.table import Table

    heads, *rows = cells(layers)
    table: Any = Table(title=escape(title), caption=escape("\n".join([*summary, EXPLANATION])))
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number < 2 else "right")
    for row in rows:
        table.add_row(*map(escape, row))
    drawn: Table = table
    return drawn
