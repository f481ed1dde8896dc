"""A sweep as a table: the options that vary, the figures, and the reasons where there is no plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetorch.inspect.shown_table import ShownTable
from hetorch.inspect.sweeps.grid import value_text
from hetorch.inspect.sweeps.metrics import METRICS
from hetorch.inspect.sweeps.row import Row
from hetorch.quantities import count_text

if TYPE_CHECKING:
    from hetorch.inspect.sweeps.result import Sweep

SHOWN = (
    "accuracy", "r2", "rmse", "agreement", "error", "precision_bits", "outside", "predicted_seconds",
    "measured_seconds", "seconds_per_sample", "memory_bytes", "key_bytes", "levels", "degree", "ring",
)  # fmt: skip
"""The figures of the table; those that no row has are left out. A DataFrame has all of them."""
ASKED = {"ring_degree": "ring", "activation_degree": "degree"}
"""The figures that an option fixes."""
MOST_REASONS = 8
"""Reasons below the table; the others are in Sweep.refused."""
EXPLANATION = (
    "accuracy, agreement with the model and error (largest difference from it, of the output range) with the modelled "
    "noise; bits: precision that noise leaves; outside: samples with which an activation leaves its range; time of one "
    "run; security: size of the modulus, and the largest that the level allows"
)
"""The meaning of the columns, below the table."""


def sweep_table(sweep: Sweep) -> ShownTable:
    """Return the table of a sweep."""
    rows = sweep.rows
    several = any(row.run_samples not in (None, 1) for row in rows)
    # What was asked for in every row is a column already.
    asked = {name for option, name in ASKED.items() if all(row.options.get(option) for row in rows)}
    shown = [name for name in SHOWN if name not in asked and (several or name != "seconds_per_sample")]
    table = ShownTable(
        f"{sweep.name}: {count_text(len(rows), 'configuration')}",
        (*sweep.varied, *(METRICS[name].heading for name in shown), "security"),
        [_cells(row, sweep.varied, shown) for row in rows],
        len(sweep.varied),
        (*_lines(sweep), EXPLANATION),
    )
    return table.without_empty_columns() if rows else table


def _cells(row: Row, varied: tuple[str, ...], shown: list[str]) -> tuple[str, ...]:
    figures = []
    for name in shown:
        value = getattr(row, name)
        figures.append("-" if value is None else METRICS[name].text(value))
    options = [value_text(row.options.get(name)) for name in varied]
    return (*options, *figures, row.security or ("not compiled" if row.reason else "-"))


def _lines(sweep: Sweep) -> list[str]:
    """Return the model's own figures, the shared notes, and the reasons."""
    lines = []
    clear = next((row for row in sweep.rows if row.is_compiled), None)
    if clear is not None:
        known = {"accuracy": clear.accuracy_clear, "r2": clear.r2_clear, "rmse": clear.rmse_clear}
        own = [f"{METRICS[n].heading} {METRICS[n].text(v)}" for n, v in known.items() if v is not None]
        if own:
            lines.append(f"the model in clear: {', '.join(own)}")
    refused = list(sweep.refused.items())
    for configuration, reason in refused[:MOST_REASONS]:
        lines.append(f"not compiled, {configuration or 'the only configuration'}: {reason}")
    if len(refused) > MOST_REASONS:
        lines.append(f"not compiled, {len(refused) - MOST_REASONS} more: their reasons are in .refused")
    return lines
