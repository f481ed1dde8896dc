"""Progress bars of long work on stderr; silent without a terminal, or when a machine reads the output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hetorch.progress import Progress


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Give a reporter that draws one bar for each stage until the block ends; nothing is drawn if `quiet`."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, disable=quiet or not console.is_terminal) as bars:
        tasks: dict[str, int] = {}

        def report(stage: str, fraction: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(bars.task_ids[tasks[stage]], completed=fraction)

        yield report
