"""The worker processes of a server under test: stopped and continued by signals, so that a test decides how long a
computation takes, and killed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx

from hetorch.serving.models import ServedModel
from hetorch.wire.addresses import STATUS
from tests.server.scrape import scrape


def worker_pids(http: httpx.Client) -> list[int]:
    """Return the process ids of the workers, once all have started."""
    return [worker["pid"] for worker in http.get(STATUS).json()["workers"]]


@contextlib.contextmanager
def paused(http: httpx.Client) -> Iterator[list[int]]:
    """Stop all workers until the block ends: what they compute takes that long. Gives their process ids."""
    pids = worker_pids(http)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield pids
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def stopped_workers(url: str) -> Iterator[None]:
    """Let no computation of a server go on in the block."""
    with httpx.Client(base_url=url, trust_env=False) as http, paused(http):
        yield


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until a condition holds; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def wait_for_pending(http: httpx.Client, count: int) -> None:
    """Wait until so many computations run or wait."""
    wait_until(lambda: scrape(http)("pending") == count)


def broken(served: ServedModel) -> ServedModel:
    """Return a model that fails as a fault in hetorch would: its workers do not know it."""
    return replace(served, name="broken", source=replace(served.source, name="elsewhere"))
