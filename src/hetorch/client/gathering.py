"""Concurrent calls of one client, gathered into requests of as many samples as the plan takes.

A call that is alone is sent at once. Where others are under way, the first one opens a batch and leads it: the batch is
sent when it is full, or when GATHER_SECONDS have passed. Every call gets the rows of its own samples. If the leader's
task is cancelled, the others of its batch start again; any other failure is that of all of them.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from hetorch.client.driver import Driver, Signal
from hetorch.client.retries import time_left
from hetorch.errors import HetorchError

Array = NDArray[np.float64]

GATHER_SECONDS = 0.005
"""Time that a batch which is not full waits for more calls, in seconds. Raised, batches are fuller where calls come
slowly, and each answer takes longer."""


class Gathering:
    """The calls of one client that are under way.

    Args:
        driver: the way of waiting.
        url: the server, for messages.
        capacity: most samples of one request.
        run: returns the results of at most `capacity` samples, with one request.
    """

    def __init__(
        self, driver: Driver, url: str, capacity: int, run: Callable[[Array], Awaitable[Array]]
    ) -> None:
        self._driver = driver
        self._url = url
        self._capacity = capacity
        self._run = run
        self._lock = threading.Lock()  # held for a few statements only, never while something is awaited
        self._calls = 0
        self._open: _Batch | None = None

    @contextmanager
    def under_way(self) -> Iterator[bool]:
        """Count a call until the block ends; gives True if it is the only one at its beginning."""
        with self._lock:
            self._calls += 1
            alone = self._calls == 1
        try:
            yield alone
        finally:
            with self._lock:
                self._calls -= 1

    async def predict(self, samples: Array) -> Array:
        """Return the results of at most `capacity` samples of a call that is under way."""
        await self._driver.pause(0)  # calls that begin in the same moment are counted
        while True:
            with self._lock:
                if len(samples) >= self._capacity or self._calls <= 1:
                    batch = None
                else:
                    batch, leads, first = self._join(samples)
            if batch is None:
                return await self._run(samples)
            if leads:
                return (await self._lead(batch))[: len(samples)]
            rows = await self._follow(batch)
            if rows is not None:
                return rows[first : first + len(samples)]

    def _join(self, samples: Array) -> tuple[_Batch, bool, int]:
        """Return the batch that the samples are in, True if it is a new one, and the place of the first sample."""
        batch = self._open
        leads = batch is None or batch.size + len(samples) > self._capacity
        if batch is None or leads:
            if batch is not None:
                batch.full.set()
            batch = self._open = _Batch(self._driver.signal(), self._driver.signal())
        first = batch.add(samples)
        if batch.size == self._capacity:
            batch.full.set()
            self._open = None
        return batch, leads, first

    async def _lead(self, batch: _Batch) -> Array:
        try:
            await batch.full.wait(GATHER_SECONDS)
            with self._lock:
                if self._open is batch:
                    self._open = None
            batch.results = await self._run(np.concatenate(batch.samples))
            return batch.results
        except HetorchError as error:
            batch.error = error
            raise
        finally:
            with self._lock:
                if self._open is batch:
                    self._open = None
            batch.done.set()

    async def _follow(self, batch: _Batch) -> Array | None:
        """Return the results of the whole batch, or None if its leader gave up."""
        if not await batch.done.wait(time_left(self._url)):
            time_left(self._url)  # raises
        if batch.error is not None:
            raise copy.copy(batch.error) from batch.error  # an error belongs to one thread
        return batch.results


class _Batch:
    """Samples of several calls. `full`: no more can come; `done`: there are results, an error, or neither."""

    def __init__(self, full: Signal, done: Signal) -> None:
        self.full = full
        self.done = done
        self.samples: list[Array] = []
        self.size = 0
        self.results: Array | None = None
        self.error: HetorchError | None = None

    def add(self, samples: Array) -> int:
        """Add samples, and return the place of the first of them."""
        first = self.size
        self.samples.append(samples)
        self.size += len(samples)
        return first
