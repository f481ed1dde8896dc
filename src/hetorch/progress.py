"""Progress reports of long work: one type of function for the compiler, the client and the server."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""A function that is called with the name of the current stage and the fraction that is done, from 0 to 1. The
docstring of the function that calls it says if this is the fraction of the stage or of all work."""


def counted(progress: Progress | None, stage: str) -> Callable[[int, int], None]:
    """Return a function of (done, total) that calls `progress` with `stage` and done / total.

    If `progress` is None, the function does nothing.
    """

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(stage, done / total if total else 1.0)

    return report
