"""How long work tells how far it is: one kind of function for the compiler, the client and the server."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with the name of the stage that is at work and the fraction of it that is done, from 0 to 1."""


def counted(progress: Progress | None, stage: str) -> Callable[[int, int], None]:
    """Return a function of (done, total) that tells `progress` the fraction of `stage`; without `progress`, nothing."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(stage, done / total if total else 1.0)

    return report
