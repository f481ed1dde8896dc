"""Concurrent calls share requests, and each gets its own rows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import torch

import hetorch
from hetorch.client import AsyncClient, Client, Sharing, Vault
from hetorch.client.blocking import BlockingDriver, finish
from hetorch.client.event_loop import EventLoopDriver
from hetorch.client.gathering import Array, Gathering
from hetorch.client.retries import within
from hetorch.errors import RemoteError
from hetorch.plan import Plan
from hetorch.serving.models import serve_plan
from tests.client.test_client import samples
from tests.server.live import live

CALLS = 16
BATCH = 8
ERROR = 1e-4
"""Outputs span about 4, so the plan promises 4e-6; rows of other samples differ by a thousand times more."""


MODEL = torch.nn.Linear(8, 4)


@pytest.fixture(scope="module")
def plan() -> Plan:
    x = torch.tensor(samples(200), dtype=torch.float32)
    return hetorch.compile(MODEL, x, ring_degree=2048, security="none", batch_size=BATCH, precision=1e-6)


@pytest.fixture(scope="module")
def batch_url(plan: Plan) -> Iterator[str]:
    assert plan.public().batch_size == BATCH
    with live({"batches": serve_plan("batches", plan)}) as address:
        yield address


def expected(x: Array) -> Array:
    with torch.no_grad():
        result: Array = MODEL.double()(torch.tensor(x)).numpy()
    return result


def test_sixteen_threads_and_a_plan_of_eight(batch_url: str, vault: Vault) -> None:
    x = samples(CALLS)
    start = threading.Barrier(CALLS)
    with Client(batch_url, vault=vault, allow_insecure=True) as client:
        client.prepare()

        def ask(row: Array) -> Array:
            start.wait(60)
            result: Array = client.predict(row)
            return result

        with ThreadPoolExecutor(CALLS) as pool:
            for _ in range(3):
                client.timings.clear()
                rows = np.array(list(pool.map(ask, x)))
                assert np.abs(rows - expected(x)).max() < ERROR
                # At least two requests are needed; without gathering there would be sixteen.
                assert 2 <= len(client.timings) < CALLS


def test_sixteen_tasks_need_two_requests(batch_url: str, vault: Vault) -> None:
    x = samples(CALLS)

    async def use() -> None:
        async with AsyncClient(batch_url, vault=vault, allow_insecure=True) as client:
            await client.prepare()
            rows = await asyncio.gather(*(client.predict(row) for row in x))
            assert np.abs(np.array(rows) - expected(x)).max() < ERROR
            assert len(client.timings) == 2

    asyncio.run(use())


def test_calls_of_several_sizes(batch_url: str, vault: Vault) -> None:
    sizes = [1, 3, 8, 5, 2, 11, 7, 1, 4]
    x = samples(sum(sizes))
    parts = np.split(x, np.cumsum(sizes)[:-1])
    with (
        Client(batch_url, vault=vault, allow_insecure=True) as client,
        ThreadPoolExecutor(len(sizes)) as pool,
    ):
        for part, rows in zip(parts, pool.map(client.predict, parts), strict=True):
            assert rows.shape == (len(part), 4)
            assert np.abs(rows - expected(part)).max() < ERROR


def test_a_call_that_is_alone_does_not_wait() -> None:
    """It is sent by itself: nobody opens a batch for it."""
    gathering = Gathering(BlockingDriver(), "url", BATCH, doubled)
    with gathering.under_way() as alone:
        assert alone
        assert finish(gathering.predict(np.ones((1, 2)))).tolist() == [[2.0, 2.0]]
        assert gathering._open is None


async def doubled(rows: Array) -> Array:
    return 2 * rows


def test_a_failure_is_that_of_every_call_of_the_batch() -> None:
    runs = 0

    async def fail(rows: Array) -> Array:
        nonlocal runs
        runs += 1
        raise RemoteError("the server is on fire", 500, "internal")

    async def use() -> list[object]:
        gathering = Gathering(EventLoopDriver(), "url", BATCH, fail)

        async def call() -> Array:
            with gathering.under_way():
                await asyncio.sleep(0)
                return await gathering.predict(np.ones((1, 2)))

        return await asyncio.gather(*(call() for _ in range(4)), return_exceptions=True)

    errors = asyncio.run(use())
    assert runs == 1
    assert len({id(error) for error in errors}) == 4
    for error in errors:
        assert isinstance(error, RemoteError)
        assert (str(error), error.status, error.code) == ("the server is on fire", 500, "internal")


def test_a_leader_that_is_cancelled_does_not_take_others_with_it() -> None:
    begun = asyncio.Event()

    async def slow_once(rows: Array) -> Array:
        if not begun.is_set():
            begun.set()
            await asyncio.sleep(60)
        return 2 * rows

    async def use() -> None:
        gathering = Gathering(EventLoopDriver(), "url", BATCH, slow_once)

        async def call(value: float) -> Array:
            with gathering.under_way():
                await asyncio.sleep(0)
                return await gathering.predict(np.full((1, 2), value))

        leader, *others = [asyncio.create_task(call(i)) for i in range(3)]
        await begun.wait()
        leader.cancel()
        for value, other in enumerate(others, 1):
            assert (await other).tolist() == [[2.0 * value] * 2]
        with pytest.raises(asyncio.CancelledError):
            await leader

    asyncio.run(use())


def test_who_waits_for_a_batch_keeps_the_deadline() -> None:
    async def never(rows: Array) -> Array:
        await asyncio.sleep(60)
        return rows

    async def use() -> None:
        gathering = Gathering(EventLoopDriver(), "the server", BATCH, never)

        async def call(seconds: float) -> Array:
            with within(seconds), gathering.under_way():
                await asyncio.sleep(0)
                return await gathering.predict(np.ones((1, 2)))

        leader, follower = [asyncio.create_task(call(seconds)) for seconds in (60.0, 0.2)]
        with pytest.raises(RemoteError, match="deadline"):
            await follower
        leader.cancel()

    asyncio.run(use())


def test_shared_results_are_not_gathered(plan: Plan, batch_url: str, vault: Vault) -> None:
    """Their noise is chosen for the values of one call."""
    x = samples(4)
    with (
        Client(batch_url, vault=vault, allow_insecure=True, pinned=plan) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        client.prepare()
        client.timings.clear()
        sharing = Sharing(queries=1000, most_noise=100.0)
        list(pool.map(lambda row: client.predict(row, for_sharing=sharing), x))
        assert len(client.timings) == 4


def test_the_transport_sees_full_batches(batch_url: str, vault: Vault) -> None:
    sizes: list[int] = []

    class Noting(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("predict"):
                sizes.append(int(request.headers["content-length"]))
            return await super().handle_async_request(request)

    async def use() -> None:
        async with AsyncClient(batch_url, vault=vault, allow_insecure=True, transport=Noting()) as client:
            await client.prepare()
            await asyncio.gather(*(client.predict(row) for row in samples(3)))

    asyncio.run(use())
    assert len(sizes) == 1  # the three fit together, and nobody waits for five more
