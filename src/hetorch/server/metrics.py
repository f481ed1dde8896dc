"""What a server counts: requests, refusals and failures, run times, memory."""

from __future__ import annotations

import resource
import threading
from collections import deque
from pathlib import Path

import numpy as np

KEPT_RUNS = 1024


def peak_memory_bytes() -> int:
    """Peak resident memory of this process, bytes: VmHWM of /proc, else getrusage (kilobytes on Linux)."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Metrics:
    """Counters of one server; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = 0
        self._refused = 0
        self._failed = 0
        self._runs: dict[str, deque[float]] = {}

    def count(self, status: int) -> None:
        """One answered request: 4xx count as refused, 5xx as failed."""
        with self._lock:
            self._requests += 1
            self._refused += 400 <= status < 500
            self._failed += status >= 500

    def ran(self, model: str, milliseconds: float) -> None:
        """One prediction computed; the last KEPT_RUNS of each model are kept."""
        with self._lock:
            self._runs.setdefault(model, deque(maxlen=KEPT_RUNS)).append(milliseconds)

    def snapshot(self) -> dict[str, object]:
        """The counters as JSON; run times are p50 and p95 in milliseconds."""
        with self._lock:
            runs = {name: list(values) for name, values in self._runs.items()}
            counters: dict[str, object] = {
                "requests": self._requests,
                "refused": self._refused,
                "failed": self._failed,
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
