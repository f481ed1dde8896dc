"""A sweep as a table: the options that vary, the figures, and the reasons where there is no plan."""

from __future__ import annotations

from collections.abc import Sequence

from hetorch.inspect.shown_table import ShownTable
from hetorch.inspect.sweeps.grid import text_of, value_text
from hetorch.inspect.sweeps.metrics import METRICS
from hetorch.inspect.sweeps.row import Row
from hetorch.quantities import count_text

SHOWN = (
    "accuracy", "r2", "rmse", "agreement", "error", "precision_bits", "outside", "predicted_seconds",
    "measured_seconds", "seconds_per_sample", "memory_bytes", "key_bytes", "levels", "degree", "ring",
)  # fmt: skip
"""The figures of the table; those that no row has are left out. A DataFrame has all of them."""
MOST_REASONS = 8
"""Reasons below the table; the others are in Sweep.refused."""
MARK = "*"
"""The mark before a row of the Pareto front."""
EXPLANATION = (
    "accuracy, agreement with the model and error (largest difference from it, of the output range) with the modelled "
    "noise; bits: precision that noise leaves; outside: samples with which an activation leaves its range; time of one "
    "run; security: size of the modulus, and the largest that the level allows"
)
"""The meaning of the columns, below the table."""


def sweep_table(
    name: str,
    rows: Sequence[Row],
    varied: Sequence[str],
    best: Sequence[Row] = (),
    figures: Sequence[str] = (),
) -> ShownTable:
    """Return the table of the rows of a sweep, with the options that vary; the `best` in some figures are marked."""
    several = any(row.run_samples not in (None, 1) for row in rows)
    hidden = set() if several else {"seconds_per_sample"}
    if "ring_degree" in varied and all(row.options.get("ring_degree") for row in rows):
        hidden.add("ring")  # a column already
    shown = [figure for figure in SHOWN if figure not in hidden]
    table = ShownTable(
        f"{name}: {count_text(len(rows), 'configuration')}",
        ("", *varied, *(METRICS[figure].heading for figure in shown), "security"),
        [(_mark(row, best), *_cells(row, varied, shown)) for row in rows],
        1 + len(varied),
        (*_lines(rows, varied), *_front_lines(best, figures), EXPLANATION),
    )
    return table.without_empty_columns() if rows else table


def _mark(row: Row, best: Sequence[Row]) -> str:
    return MARK if any(row is one for one in best) else ""


def _front_lines(best: Sequence[Row], figures: Sequence[str]) -> list[str]:
    if not best:
        return []
    named = " and ".join(
        METRICS[figure].label.rpartition(",")[0] or METRICS[figure].label for figure in figures
    )
    return [f"{MARK} Pareto front: no other configuration is as good in {named} and better in one of them"]


def _cells(row: Row, varied: Sequence[str], shown: Sequence[str]) -> tuple[str, ...]:
    figures = []
    for name in shown:
        value = getattr(row, name)
        figures.append("-" if value is None else METRICS[name].text(value))
    options = [value_text(row.options.get(name)) for name in varied]
    return (*options, *figures, row.security or ("not compiled" if row.reason else "-"))


def _lines(rows: Sequence[Row], varied: Sequence[str]) -> list[str]:
    """Return the model's own figures, the shared notes, and the reasons."""
    lines = []
    clear = next((row for row in rows if row.is_compiled), None)
    if clear is not None:
        known = {"accuracy": clear.accuracy_clear, "r2": clear.r2_clear, "rmse": clear.rmse_clear}
        own = [f"{METRICS[n].heading} {METRICS[n].text(v)}" for n, v in known.items() if v is not None]
        if own:
            lines.append(f"the model in clear: {', '.join(own)}")
    refused = [(text_of(row.options, varied), row.reason) for row in rows if not row.is_compiled]
    for configuration, reason in refused[:MOST_REASONS]:
        lines.append(f"not compiled, {configuration or 'the only configuration'}: {reason}")
    if len(refused) > MOST_REASONS:
        lines.append(f"not compiled, {len(refused) - MOST_REASONS} more: their reasons are in .refused")
    return lines
