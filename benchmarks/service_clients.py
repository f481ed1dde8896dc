"""Many clients of hetorch at once: each encrypts, asks and decrypts, as often as the time allows.

`python -m benchmarks.service_clients OPTIONS` reads its options as JSON and prints a JSON line like
benchmarks.service_load. The clients are threads of one process and share its interpreter lock.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hetorch.client import Client


@dataclass(frozen=True, slots=True)
class Clients:
    """What is asked: `clients` with the vault in the folder `vault` ask `url` for `seconds`, for the first sample in
    the file `samples`."""

    url: str
    vault: str
    samples: str
    clients: int
    seconds: float


def run(options: Clients) -> dict[str, object]:
    """Ask with all clients; return times in milliseconds, and how many predictions failed."""
    sample = np.load(Path(options.samples))["samples"][0]
    times: list[float] = []
    failures: list[str] = []
    barrier = threading.Barrier(options.clients + 1)

    def ask() -> None:
        with Client(options.url, vault=options.vault, progress=False) as client:
            client.predict(sample)  # the keys are there afterwards
            barrier.wait()
            while time.perf_counter() < end:
                begun = time.perf_counter()
                try:
                    client.predict(sample)
                except Exception as error:
                    failures.append(str(error))
                    continue
                times.append(1e3 * (time.perf_counter() - begun))

    end = float("inf")
    threads = [threading.Thread(target=ask, daemon=True) for _ in range(options.clients)]
    for thread in threads:
        thread.start()
    while barrier.n_waiting < options.clients:
        time.sleep(0.01)
        if not all(thread.is_alive() for thread in threads):
            raise RuntimeError("a client failed before the measurement began")
    start, cpu = time.perf_counter(), time.process_time()
    end = start + options.seconds
    barrier.wait()
    for thread in threads:
        thread.join()
    return {
        "times_ms": times,
        "failures": len(failures),
        "failure": failures[0] if failures else "",
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
    }


if __name__ == "__main__":
    print(json.dumps(run(Clients(**json.loads(sys.argv[1])))))
