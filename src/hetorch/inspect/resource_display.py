"""The live line of `hetorch.inspect.resources`: renewed in place on a terminal and in a notebook."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hetorch.inspect.resource_samples import ResourceSample
from hetorch.progress import at_a_terminal, in_a_notebook, terminal
from hetorch.quantities import size_text

Show = Callable[[Sequence[ResourceSample], int], None]
"""A function that shows the samples so far, on that many processors."""

BARS = "▁▂▃▄▅▆▇█"
SHOWN = 20
"""Samples in the line's bars. Raised, the line may be wider than a terminal."""
RENEWED = 0.25
"""Time between two states of the line in seconds. Lowered, a notebook gets more messages."""


@contextmanager
def showing(live: bool) -> Iterator[Show]:
    """Give the function that shows samples, until the block ends; it does nothing where nobody looks."""
    if live and in_a_notebook():
        yield _in_notebook()
    elif live and at_a_terminal():
        with _on_terminal() as show:
            yield show
    else:
        yield lambda samples, processors: None


def line(samples: Sequence[ResourceSample], processors: int) -> str:
    """Return the line: busy processors with bars of the last samples, memory and its peak, the time."""
    if not samples:
        return ""
    last = samples[-1]
    bars = "".join(
        BARS[min(int(sample.cpu / processors * len(BARS)), len(BARS) - 1)] for sample in samples[-SHOWN:]
    )
    peak = max(sample.memory_bytes for sample in samples)
    return (
        f"CPU {last.cpu:.2f} of {processors} {bars:>{SHOWN}}  memory {size_text(last.memory_bytes)} "
        f"(peak {size_text(peak)})  {last.seconds:.1f} s"
    )


@contextmanager
def _on_terminal() -> Iterator[Show]:
    from rich.errors import LiveError
    from rich.live import Live
    from rich.text import Text

    shown = Live(Text(""), console=terminal(), auto_refresh=False)
    try:
        shown.start()
    except LiveError:  # another display has this terminal
        yield lambda samples, processors: None
        return
    try:
        yield lambda samples, processors: shown.update(
            Text(line(samples, processors), no_wrap=True, overflow="ellipsis"), refresh=True
        )
    finally:
        shown.stop()


def _in_notebook() -> Show:
    from IPython import display  # a notebook's kernel has it

    publish: Callable[..., Any] = display.display
    handle = publish({"text/plain": ""}, raw=True, display_id=True)
    renewed = 0.0

    def show(samples: Sequence[ResourceSample], processors: int) -> None:
        nonlocal renewed
        now = time.monotonic()
        if now - renewed >= RENEWED:
            handle.update({"text/plain": line(samples, processors)}, raw=True)
            renewed = now

    return show
