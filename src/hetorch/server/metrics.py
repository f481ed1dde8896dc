"""The counters of a server: requests, refusals and failures, run times, memory."""

from __future__ import annotations

import resource
import threading
from collections import deque
from pathlib import Path

import numpy as np

from hetorch.wire.codes import Code

KEPT_RUNS = 1024
"""Latest run times of each model that are kept for the percentiles; more react more slowly to a change."""


def peak_memory_bytes() -> int:
    """Return the peak resident memory of this process in bytes: VmHWM of /proc, else getrusage (kilobytes on Linux)."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Counters:
    """The counters of one server; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = 0
        self._refused = 0
        self._busy = 0
        self._failed = 0
        self._out_of_memory = 0
        self._runs: dict[str, deque[float]] = {}

    def answered(self, status: int) -> None:
        """Count one answered request by its HTTP status: 4xx as refused, 503 as busy, other 5xx as failed."""
        with self._lock:
            self._requests += 1
            self._refused += 400 <= status < 500
            self._busy += status == Code.BUSY.status
            self._failed += status >= 500 and status != Code.BUSY.status

    def count(self, name: str, **labels: str) -> None:
        """Count `out_of_memory`, a request for which there was no memory (its 503 counts as busy too)."""
        with self._lock:
            self._out_of_memory += name == "out_of_memory"

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Record `run_seconds`, the run time of one prediction; the last KEPT_RUNS of each `model` are kept."""
        if name == "run_seconds":
            with self._lock:
                self._runs.setdefault(labels["model"], deque(maxlen=KEPT_RUNS)).append(value * 1e3)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Take a number that goes up and down; none is shown."""

    def snapshot(self) -> dict[str, object]:
        """Return the counters as plain data for JSON; run times as p50 and p95 in milliseconds."""
        with self._lock:
            runs = {name: list(values) for name, values in self._runs.items()}
            counters: dict[str, object] = {
                "requests": self._requests,
                "refused": self._refused,
                "busy": self._busy,
                "failed": self._failed,
                "out_of_memory": self._out_of_memory,
            }
        models = {
            name: {
                "runs": len(values),
                "run_ms_p50": float(np.percentile(values, 50)),
                "run_ms_p95": float(np.percentile(values, 95)),
            }
            for name, values in runs.items()
        }
        return counters | {"models": models, "peak_memory_bytes": peak_memory_bytes()}
