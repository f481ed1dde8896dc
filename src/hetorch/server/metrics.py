"""The numbers of a server, in a registry of its own, for Prometheus and for its status.

The labels of a metric take few values, whatever strangers ask for: names of models and endpoints, codes, steps. No
label names a tenant: who asks how often stands in the audit log, which fewer people read.
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

PREFIX = "hetorch_"
"""The beginning of the names of all metrics of the service; those of its process begin with `process_`."""
HELP: Mapping[str, str] = MappingProxyType(
    {
        "requests": "Answers by endpoint, HTTP status and error code; status none: the client went away",
        "request_seconds": "Time from the head of a request to the end of its answer",
        "upload_seconds": "Time until the body of a request had come",
        "step_seconds": "Time of each step of a prediction: queue, parse, run, dump",
        "out_of_memory": "Requests for which there was no memory",
        "rate_exceeded": "Requests beyond the limits of their tenant",
        "pending": "Predictions that run or wait",
        "keys_held": "Clients' evaluation keys that are stored",
        "weights_held": "Clients' encrypted weights that are stored",
        "key_disk_bytes": "Bytes of evaluation keys and encrypted weights in the key folder",
        "key_spare_bytes": "Bytes of those that the key folder cannot take, in memory alone",
        "key_evictions": "Keys and weights that were deleted to make room",
        "uploads": "Uploads in pieces under way",
        "key_disk_failures": "Failures to read or write the key folder",
        "connections": "Open connections",
        "connections_refused": "Connections beyond the limits, which were closed at once",
        "audit_lines_lost": "Lines of the audit log that could not be written",
        "peak_memory_bytes": "Highest resident memory of the process that answers",
        "worker_memory_bytes": "Resident memory of the processes that compute, without mapped files",
        "secret_modules": "Loaded modules through which a secret key could come in; 0 in a server",
        "waiting": "Predictions that wait",
        "worker_deaths": "Processes that died while they computed",
        "jobs_queued": "Jobs that wait",
        "jobs_running": "Jobs that run",
        "jobs_done": "Jobs whose result waits for its client",
        "jobs_failed": "Jobs that failed, and whose client has not heard of it",
        "up_seconds": "Time since the server began",
        "retries": "Computations of dead processes that were begun again",
        "abandoned": "Computations that nobody waited for any more, by reason",
        "workers": "Processes that compute",
        "queue": "Predictions that may wait behind them",
        "ready": "1 while the server takes predictions",
    }
)
"""The help of metrics by their name without PREFIX; a metric without help has its name as one."""
COUNTERS = frozenset({"audit_lines_lost", "connections_refused", "key_disk_failures", "key_evictions"})
"""The numbers of a snapshot that only grow."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""The upper ends of the buckets of times in seconds: from parsing a small request to REQUEST_SECONDS. More of them cost
a time series each, for every model and step."""
OPENMETRICS = "application/openmetrics-text"
"""The media type of OpenMetrics, which a scraper may ask for."""

Snapshot = Callable[[], Mapping[str, float]]
"""Returns numbers that are read when they are asked for, by their names without PREFIX."""


class PrometheusMetrics:
    """The metrics of one app (a `hetorch.serving.metrics.Metrics`); safe to use from many threads.

    `snapshot` gives further numbers at each scrape.
    """

    def __init__(self, snapshot: Snapshot = dict) -> None:
        self.registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._gauges: dict[str, Gauge] = {}
        ProcessCollector(registry=self.registry)
        self.registry.register(_Snapshot(snapshot))

    def count(self, name: str, **labels: str) -> None:
        """Count one event."""
        with self._lock:
            metric = self._counters.get(name) or self._counters.setdefault(
                name, Counter(PREFIX + name, _help(name), sorted(labels), registry=self.registry)
            )
        (metric.labels(**labels) if labels else metric).inc()

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Record one measurement in seconds."""
        with self._lock:
            metric = self._histograms.get(name) or self._histograms.setdefault(
                name,
                Histogram(
                    PREFIX + name, _help(name), sorted(labels), registry=self.registry, buckets=SECONDS
                ),
            )
        (metric.labels(**labels) if labels else metric).observe(value)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a number that goes up and down."""
        with self._lock:
            metric = self._gauges.get(name) or self._gauges.setdefault(
                name, Gauge(PREFIX + name, _help(name), sorted(labels), registry=self.registry)
            )
        (metric.labels(**labels) if labels else metric).set(value)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their media type: OpenMetrics if `accept`, the header of a request, names it, else
        the text format of Prometheus."""
        if OPENMETRICS in accept:
            text: bytes = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4

    def sum(self, sample: str, **labels: str) -> float:
        """Return the sum of the samples of this name, such as "requests_total", that have these labels."""
        return sum(self.by_label(sample, "", **labels).values())

    def by_label(self, sample: str, label: str, **labels: str) -> dict[str, float]:
        """Return the sums of the samples of this name that have these labels, by the value of another label."""
        sums: dict[str, float] = {}
        for metric in self.registry.collect():
            for found in metric.samples:
                if found.name == PREFIX + sample and labels.items() <= found.labels.items():
                    key = found.labels.get(label, "")
                    sums[key] = sums.get(key, 0.0) + found.value
        return sums


def peak_memory_bytes() -> int:
    """Return the peak resident memory of this process in bytes: VmHWM of /proc, else getrusage (kilobytes on Linux)."""
    peak = _of_process("self", "VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if peak is None else peak


def private_memory_bytes(process: int) -> int:
    """Return the resident memory of a process in bytes without mapped files, such as keys; 0 where it cannot be told or
    the process has ended. What forked processes share counts for each."""
    return _of_process(str(process), "RssAnon") or 0


def _of_process(process: str, name: str) -> int | None:
    """Return a size in bytes of /proc/PROCESS/status; None where there is none."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


class _Snapshot(Collector):
    """Collects the numbers of a snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        return ()  # the names are not known before the service is whole

    def collect(self) -> Iterable[Metric]:
        for name, value in self._snapshot().items():
            family = CounterMetricFamily if name in COUNTERS else GaugeMetricFamily
            yield family(PREFIX + name, _help(name), value=value)


def _help(name: str) -> str:
    return HELP.get(name, name.replace("_", " "))
