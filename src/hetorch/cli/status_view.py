"""The state of a server in a terminal: the parts of its status page, for rich."""

from __future__ import annotations

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hetorch.wire.status import LogLine, ModelStatus, Status, WorkerStatus
from hetorch.wire.status_numbers import grouped, seconds_text

SHOWN_DIGITS = 12
"""Digits of a fingerprint that are shown."""
SHOWN_LINES = 8
"""Lines of the log that are shown, so that all fits a terminal of 50 lines."""


def status_view(status: Status, url: str) -> RenderableType:
    """Return what a terminal shows of a status. All texts of the server are shown as they are, without markup."""
    ready = not status.not_ready
    state = Text("ready", "green") if ready else Text(f"not ready: {'; '.join(status.not_ready)}", "red")
    head = Text.assemble((url, "bold"), "  ", state, f"  hetorch {status.version}  {status.time}")
    answers = {code: f"{count:,}" for code, count in status.answers.items()}
    groups = {**grouped(status.numbers), **({"Answers": answers} if answers else {})}
    return Group(
        head,
        _models(status.models),
        _workers(status.workers),
        Columns([_group(title, entries) for title, entries in groups.items()]),
        _errors(status.errors),
    )


def _models(models: tuple[ModelStatus, ...]) -> Table:
    table = _table("model", "plan", "predictions", "mean time")
    for model in models:
        cells = (
            model.name,
            model.fingerprint[:SHOWN_DIGITS],
            f"{model.predictions:,}",
            seconds_text(model.mean_seconds),
        )
        table.add_row(*map(Text, cells))
    return table


def _workers(workers: tuple[WorkerStatus, ...]) -> Table:
    table = _table("worker", "computes", "for")
    for worker in workers:
        seconds = "-" if worker.seconds is None else seconds_text(worker.seconds)
        table.add_row(Text(str(worker.pid)), Text(worker.model or "waits"), Text(seconds))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in ("predictions", "mean time", "for") else "left")
    return table


def _group(title: str, entries: dict[str, str]) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for word, text in entries.items():
        table.add_row(Text(word, "dim"), Text(text))
    return Panel(table, title=title, title_align="left", border_style="dim")


def _errors(errors: tuple[LogLine, ...]) -> RenderableType:
    if not errors:
        return Text("the log has no warnings and no errors", "dim")
    lines = [
        Text.assemble(
            (f"{line.time} ", "dim"), (line.level, "red"), f" {line.message} ", (line.request_id or "", "dim")
        )
        for line in errors[:SHOWN_LINES]
    ]
    return Group(Text("last warnings and errors", "dim"), *lines)
