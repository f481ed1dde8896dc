"""The progress of long work, told to a function of the caller or to whoever sits at the terminal.

Every function that can take long has the argument `progress: ProgressOption = None` and does its work in the block of
`reporting`, so that all of them show the same thing by default.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Literal

from hetorch.errors import InputError
from hetorch.quantities import size_text

if TYPE_CHECKING:
    from rich.console import Console

Progress = Callable[[str, float], None]
"""A function that is called with the name of the current stage and the fraction that is done, from 0 to 1. The
docstring of the function that calls it says if this is the fraction of the stage or of all work."""
LINES: Final = "lines"
"""The default display, and lines on stderr where it would show nothing: in a log or a pipe."""
ProgressOption = Progress | bool | Literal["lines"] | None
"""A function to call; False for silence; None or True for the default display (`reporting`); or LINES."""

QUIET_SECONDS = 1.0
"""Time for which work goes on before the default display begins, in seconds: shorter work shows nothing."""

LINE_SECONDS = 10.0
"""Time between two lines of LINES, and before the first one, in seconds; lower values fill logs."""

MINUTE_SECONDS = 60.0
"""Time between two lines of work that is told even where nobody looks, and before the first one, in seconds; higher
values leave users longer in doubt whether a script goes on."""

NOTEBOOK_SECONDS = 0.5
"""Shortest time between two changes of the line in a notebook, in seconds; lower values send the browser more messages
than anybody reads."""

BAR_WIDTH, SHORT_BAR_WIDTH = 40, 15
"""Characters of the bar, and of one beside words on what is done, which are cut off where the terminal ends."""

log = logging.getLogger("hetorch.progress")


def counted(progress: Progress | None, stage: str) -> Callable[[int, int], None]:
    """Return a function of (done, total) that tells `progress` the fraction of `stage`; without `progress`, nothing."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(stage, done / total if total else 1.0)

    return report


@contextmanager
def reporting(
    progress: ProgressOption,
    work: str,
    size: int | None = None,
    detail: Callable[[float], str] | None = None,
    *,
    even_unseen: bool = False,
) -> Iterator[Progress]:
    """Give a function that is told the stage and the fraction of long work, until the block ends.

    The default display is a bar on the terminal, with the stage and the time so far, and one line in a notebook; it is
    nothing elsewhere, and nothing for work of less than QUIET_SECONDS. In a notebook the line changes with the stage,
    and only the name of the work stays. With LINES there is a line every LINE_SECONDS elsewhere, and by default one
    every MINUTE_SECONDS if `even_unseen` is true. The stages are logged as information too.

    Args:
        progress: whom to tell.
        work: the name of the work. A stage of another name is shown beside it.
        size: bytes that the work makes or sends, for the display.
        detail: a function of the fraction that returns what is done in words, which the display shows behind the work.
        even_unseen: True for work of minutes that people start in scripts, whose output may go to a file. False for
            work of services, whose logs are not for progress.

    Raises:
        InputError: `progress` is nothing that can be told.
    """
    if callable(progress):
        yield progress
        return
    if progress is False:
        yield lambda stage, fraction: None
        return
    if progress is not None and progress is not True and progress != LINES:
        raise InputError(
            f'progress must be a function of (stage, fraction), True, False or "{LINES}", got {progress!r}'
        )
    title = work if size is None else f"{work} ({size_text(size)})"
    seconds = LINE_SECONDS if progress == LINES else MINUTE_SECONDS if even_unseen else None
    shown = _Shown(title, work, detail, None if somebody_looks() else seconds)
    try:
        yield shown.report
    finally:
        shown.close()


class _Shown:
    """The default display of one work: it begins by itself, since a stage may take long before it reports anything.

    With `line_seconds` it is lines, so many seconds apart.
    """

    def __init__(
        self, title: str, work: str, detail: Callable[[float], str] | None, line_seconds: float | None
    ) -> None:
        self._line_seconds = line_seconds
        self._title, self._work, self._detail = title, work, detail
        self._last: tuple[str, float] = (title, 0.0)
        self._display: Progress | None = None
        self._lock = threading.RLock()
        self._closed = False
        self._begun = time.monotonic()
        self._exit = ExitStack()
        log.info("%s", title)
        seconds = QUIET_SECONDS if line_seconds is None else line_seconds
        self._timer = threading.Timer(seconds, self._begin)
        self._timer.daemon = True
        if line_seconds is not None:
            self._timer.start()
        elif somebody_looks():
            if QUIET_SECONDS > 0:
                self._timer.start()
            else:
                self._begin()

    def report(self, stage: str, fraction: float) -> None:
        text = self._title if stage == self._work else f"{self._title}: {stage}"
        with self._lock:
            if text not in (self._title, self._last[0]):
                log.info("%s", text)
            self._last = (text, fraction)
            self._show()

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._closed = True
            self._exit.close()

    def _begin(self) -> None:
        with self._lock:
            if self._closed:
                return
            width = BAR_WIDTH if self._detail is None else SHORT_BAR_WIDTH
            display = (
                _display(self._title, self._begun, width)
                if self._line_seconds is None
                else _lines(self._begun, self._line_seconds)
            )
            self._display = self._exit.enter_context(display)
            self._show()

    def _show(self) -> None:
        text, fraction = self._last
        if self._display is not None:
            self._display(
                text if self._detail is None else f"{self._work}: {self._detail(fraction)}", fraction
            )


def in_a_notebook() -> bool:
    """Return True if what this process displays is shown in a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None and not at_a_terminal()


def at_a_terminal() -> bool:
    """Return True if stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def somebody_looks() -> bool:
    """Return True if a display would be seen."""
    return at_a_terminal() or in_a_notebook()


def is_shown(progress: ProgressOption) -> bool:
    """Return True if somebody sees what `reporting` is told with this option; the log does not count."""
    return callable(progress) or progress == LINES or (progress is not False and somebody_looks())


@functools.cache
def terminal() -> Console:
    """Return the console of all displays on stderr: displays of one console share its lines, others overwrite them."""
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def _lines(begun: float, seconds: float) -> Iterator[Progress]:
    """Give the display of work that goes on since `begun` (time.monotonic) as lines on stderr: one now, at the end, and
    in between as many `seconds` apart."""
    ended, last = threading.Event(), [("", 0.0)]

    def tell() -> None:
        text, fraction = last[0]
        print(f"{text}, {fraction:.0%}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)

    def repeat() -> None:
        while not ended.wait(seconds):
            tell()

    def show(text: str, fraction: float) -> None:
        first, last[0] = not last[0][0], (text, fraction)
        if first:
            tell()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield show
    finally:
        ended.set()
        thread.join()
        tell()


@contextmanager
def _notebook_line(title: str) -> Iterator[Progress]:
    """Give the display as one line on stderr, which a notebook writes over at each carriage return."""
    longest, changed = 0, time.monotonic()

    def write(text: str, end: str = "") -> None:
        nonlocal longest
        longest = max(longest, len(text))
        print(f"\r{text:{longest}}", end=end, file=sys.stderr, flush=True)

    def show(text: str, fraction: float) -> None:
        nonlocal changed
        if time.monotonic() - changed >= NOTEBOOK_SECONDS:
            changed = time.monotonic()
            write(f"{text}, {fraction:.0%}")

    write(f"{title} ...")
    try:
        yield show
    finally:
        write(f"{title} ...", end="\n")


@contextmanager
def _display(title: str, begun: float, width: int) -> Iterator[Progress]:
    """Give the display of work that goes on since `begun` (time.monotonic): a line that stays in a notebook, a bar of
    that many characters at a terminal."""
    if in_a_notebook():
        with _notebook_line(title) as show:
            yield show
        return
    from rich.errors import LiveError
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=width),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    bars = Bars(*columns, console=terminal(), get_time=time.monotonic)
    task = bars.add_task(title, total=1.0)
    bars.tasks[0].start_time = begun
    try:
        bars.start()
    except LiveError:  # another display, of the caller's, has this terminal
        yield lambda text, fraction: None
        return
    try:
        yield lambda text, fraction: bars.update(task, description=text, completed=fraction)
    finally:
        bars.stop()
