"""`hetorch.inspect.resources`: processor and memory of this process while a block runs, live and as data."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hetorch.errors import InputError
from hetorch.inspect.resource_display import showing
from hetorch.inspect.resource_samples import ResourceSample, memory_now, memory_peak, processors
from hetorch.preformatted import preformatted
from hetorch.quantities import size_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_INTERVAL, MOST_INTERVAL = 0.005, 60.0
"""Range of the time between two samples, in seconds. Shorter ones would be seen in the figures themselves."""


class Resources:
    """The use of the machine by this process during a block; it goes on until the block ends. Printed, it is a line.

    processors  number of processors that the process may use
    samples     the samples so far
    """

    def __init__(self) -> None:
        self.processors = processors()
        self._samples: list[ResourceSample] = []
        self._begun, self._cpu_begun = time.perf_counter(), time.process_time()
        self._memory_begun, self._peak_before = memory_now(), memory_peak()
        self._last = (self._begun, self._cpu_begun)
        self._ended: tuple[float, float, int] | None = None
        self._lock = threading.Lock()

    @property
    def samples(self) -> tuple[ResourceSample, ...]:
        return tuple(self._samples)

    @property
    def seconds(self) -> float:
        """The time that the block took, or has taken so far."""
        return (time.perf_counter() if self._ended is None else self._ended[0]) - self._begun

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all threads of the process."""
        return (time.process_time() if self._ended is None else self._ended[1]) - self._cpu_begun

    @property
    def mean_cpu(self) -> float:
        """Processors that were busy with this process, on average."""
        return self.cpu_seconds / self.seconds if self.seconds > 0 else 0.0

    @property
    def peak_bytes(self) -> int:
        """The largest resident memory: exact if the process never had more before, else that of the samples."""
        peak = memory_peak() if self._ended is None else self._ended[2]
        if peak > self._peak_before:
            return peak
        return max([self._memory_begun, *(sample.memory_bytes for sample in self._samples)])

    @property
    def added_bytes(self) -> int:
        """The largest resident memory, less that at the beginning of the block."""
        return self.peak_bytes - self._memory_begun

    def take(self) -> None:
        """Take a sample."""
        with self._lock:
            now, cpu = time.perf_counter(), time.process_time()
            passed = now - self._last[0]
            busy = (cpu - self._last[1]) / passed if passed > 0 else 0.0
            self._last = (now, cpu)
            self._samples.append(ResourceSample(now - self._begun, busy, memory_now()))

    def end(self) -> None:
        """Take the last sample; from here on nothing changes."""
        self.take()
        self._ended = (time.perf_counter(), time.process_time(), memory_peak())

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw busy processors and memory over time into `ax`, or into a new figure of pyplot.

        Returns:
            The axes of the processors; those of the memory, on the right, share their x axis.

        Raises:
            MissingPackageError: matplotlib is not installed.
        """
        from hetorch.inspect.resource_picture import draw_resources

        return draw_resources(self.samples, self.processors, ax)

    def to_dicts(self) -> list[dict[str, float]]:
        """Return a dictionary for each sample."""
        return [asdict(sample) for sample in self._samples]

    def to_dataframe(self) -> Any:
        """Return the samples as a pandas DataFrame; MissingPackageError without pandas."""
        from hetorch.optional_packages import require

        return require("pandas", "Resources.to_dataframe").DataFrame(self.to_dicts())

    def __str__(self) -> str:
        return (
            f"{self.seconds:.3g} s, CPU {self.mean_cpu:.2f} of {self.processors} on average "
            f"({self.cpu_seconds:.3g} s of processor time), memory {size_text(self.peak_bytes)} at most, "
            f"{size_text(self.added_bytes)} more than at the beginning"
        )

    def __repr__(self) -> str:
        return f"Resources({self})"

    def _repr_html_(self) -> str:
        """Return the line as a notebook shows it."""
        return preformatted(str(self))


@contextmanager
def resources(*, interval: float = 0.1, live: bool = True) -> Iterator[Resources]:
    """Watch processor and memory of this process, all of its threads, until the block ends::

        with hetorch.inspect.resources() as watched:
            hetorch.run_encrypted(plan, x)
        print(watched.peak_bytes, watched.mean_cpu)

    Args:
        interval: time between two samples in seconds, 0.005 to 60.
        live: show a line that is renewed, on a terminal or in a notebook; elsewhere nothing is shown.

    Raises:
        InputError: `interval` is out of range.
    """
    if (
        isinstance(interval, bool)
        or not isinstance(interval, int | float)
        or not math.isfinite(interval)
        or not LEAST_INTERVAL <= interval <= MOST_INTERVAL
    ):
        raise InputError(
            f"interval must be a time from {LEAST_INTERVAL} to {MOST_INTERVAL:g} seconds, got {interval!r}"
        )
    watched, stop = Resources(), threading.Event()

    def sample() -> None:
        with showing(live) as show:
            while not stop.wait(interval):
                watched.take()
                show(watched.samples, watched.processors)
            show(watched.samples, watched.processors)

    thread = threading.Thread(target=sample, name="hetorch-resources", daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        watched.end()
        stop.set()
        thread.join()
