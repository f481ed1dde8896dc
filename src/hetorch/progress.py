"""How long work tells how far it is: to a function of the caller's, or to whoever sits at the terminal."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

Progress = Callable[[str, float], None]
"""A function that is called with the name of the current stage and the fraction that is done, from 0 to 1. The
docstring of the function that calls it says if this is the fraction of the stage or of all work."""
ProgressOption = Progress | bool | None
"""A function to call; False for silence; None or True for the default display (`reporting`)."""

QUIET_SECONDS = 1.0
"""Time for which work goes on before the default display begins, in seconds: shorter work shows nothing."""

log = logging.getLogger("hetorch.progress")


def counted(progress: Progress | None, stage: str) -> Callable[[int, int], None]:
    """Return a function of (done, total) that tells `progress` the fraction of `stage`; without `progress`, nothing."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(stage, done / total if total else 1.0)

    return report


@contextmanager
def reporting(progress: ProgressOption, stage: str, size: int) -> Iterator[Progress]:
    """Give a function that is told the fraction of one stage of long work, until the block ends.

    The default display is a bar on the terminal, one line in a notebook, and nothing elsewhere; all of them only for
    work of more than QUIET_SECONDS. The beginning is logged as information too.

    Args:
        progress: whom to tell.
        stage: the name of the stage.
        size: bytes that the stage makes or sends, for the display.
    """
    if callable(progress):
        yield progress
        return
    if progress is False:
        yield lambda stage, fraction: None
        return
    text = f"{stage} ({size / 1e6:.1f} MB)"
    log.info("%s", text)
    begun = time.monotonic()
    display: Progress | None = None
    with ExitStack() as shown:

        def report(stage: str, fraction: float) -> None:
            nonlocal display
            if display is None and fraction < 1 and time.monotonic() - begun > QUIET_SECONDS:
                display = shown.enter_context(_display(text))
            if display is not None:
                display(text, fraction)

        yield report


@contextmanager
def bars(*, quiet: bool = False) -> Iterator[Progress]:
    """Give a reporter that draws one bar for each stage on stderr until the block ends.

    Nothing is drawn without a terminal, or if `quiet`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, disable=quiet or not console.is_terminal) as drawn:
        tasks: dict[str, int] = {}

        def report(stage: str, fraction: float) -> None:
            if stage not in tasks:
                tasks[stage] = drawn.add_task(stage, total=1.0)
            drawn.update(drawn.task_ids[tasks[stage]], completed=fraction)

        yield report


@contextmanager
def _display(text: str) -> Iterator[Progress]:
    """Give the default display of a stage that is at work."""
    if (
        "ipykernel" in sys.modules and not sys.stderr.isatty()
    ):  # a notebook: a line that stays, in place of a bar
        print(f"{text} ...", file=sys.stderr)
        yield lambda stage, fraction: None
        return
    with bars() as report:
        yield report
