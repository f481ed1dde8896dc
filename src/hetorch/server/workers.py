"""A bounded pool of threads for computations: what does not fit is refused at once, never queued without end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.exceptions import HTTPException

from hetorch.server.body import RETRY_AFTER

R = TypeVar("R")


class WorkerPool:
    """`workers` threads and at most `queue` computations waiting. Used from one event loop.

    The engine releases the interpreter lock, so threads compute in parallel. A computation cannot be stopped half-way:
    one that outlives its time keeps its worker until it ends, and counts as pending until then.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="hetorch-worker")
        self._capacity = workers + queue
        self._pending = 0

    @property
    def pending(self) -> int:
        """Computations running or waiting."""
        return self._pending

    async def run(self, work: Callable[[float], R], timeout: float) -> R:
        """`work(seconds waited)` in a worker. 503 if the queue is full, 504 after `timeout` seconds."""
        if self._pending >= self._capacity:
            raise HTTPException(
                503,
                f"{self._pending} computations are running or waiting, no more are taken; try again",
                RETRY_AFTER,
            )
        abandoned = threading.Event()
        submitted = time.perf_counter()

        def start() -> R:
            if abandoned.is_set():
                raise TimeoutError
            return work(time.perf_counter() - submitted)

        self._pending += 1
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, start)
        future.add_done_callback(self._finished)
        try:
            return await asyncio.wait_for(asyncio.shield(future), timeout)
        except TimeoutError:
            raise HTTPException(
                504, f"the computation took longer than {timeout:g} s; it was given up"
            ) from None
        finally:
            abandoned.set()

    def close(self) -> None:
        """Drop what waits; what runs ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _finished(self, future: asyncio.Future[R]) -> None:
        self._pending -= 1
        if not future.cancelled():
            future.exception()  # an abandoned computation's failure was answered with 504 already
