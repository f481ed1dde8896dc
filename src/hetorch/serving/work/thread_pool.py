"""A bounded pool of threads for parsing uploads: a full queue is refused at once, never extended."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hetorch.serving.errors import Busy, DeadlinePassed

R = TypeVar("R")

WORKER_THREADS = "hetorch-worker"
"""The beginning of the names of the threads that compute."""
STOPPED = "the server was stopped; try again when it runs"
"""The sentence for requests that a stopped server does not fulfil."""


class ThreadPool:
    """A pool of `workers` threads and at most `queue` waiting uploads. Used from one event loop.

    The engine releases the interpreter lock, so threads parse in parallel. A running one cannot be stopped:
    one that outlives its time keeps its worker until it ends, and counts as pending until then.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=WORKER_THREADS)
        self._capacity = workers + queue
        self._pending = 0
        self._closed = False

    @property
    def pending(self) -> int:
        """The number of computations that run or wait."""
        return self._pending

    async def run(self, work: Callable[[float], R], timeout: float) -> R:
        """Run `work` in a worker and return its result.

        Args:
            work: called with the seconds that it waited for a worker.
            timeout: seconds for waiting and running together.

        Raises:
            Busy: the queue is full or the server is stopped.
            DeadlinePassed: after `timeout` seconds.
            Exception: whatever `work` raises.
        """
        if self._closed:
            raise Busy(STOPPED)
        if self._pending >= self._capacity:
            raise Busy(f"no more uploads are taken beside {self._pending} that run or wait; try again")
        abandoned = threading.Event()
        submitted = time.perf_counter()

        def start() -> R:
            if abandoned.is_set():
                raise TimeoutError
            return work(time.perf_counter() - submitted)

        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, start)  # raises where the system gives no thread
        self._pending += 1
        future.add_done_callback(self._finished)
        try:
            return await asyncio.wait_for(asyncio.shield(future), timeout)
        except TimeoutError:
            raise DeadlinePassed(timeout) from None
        except (
            asyncio.CancelledError
        ):  # it waited when the server was stopped, or ran beyond the time given then
            raise Busy(STOPPED) from None
        finally:
            abandoned.set()

    def close(self) -> None:
        """Take no more computations, and refuse waiting ones at once; running ones end by themselves."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _finished(self, future: asyncio.Future[R]) -> None:
        self._pending -= 1
        if not future.cancelled():
            future.exception()  # retrieved: the failure of an abandoned computation was answered already
