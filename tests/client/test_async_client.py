"""hetorch.AsyncClient: what Client does, without holding the event loop up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

import hetorch
from hetorch.client import AsyncClient, Vault
from hetorch.engine.secret import SecretKey
from hetorch.errors import InputError, InputRangeWarning, RemoteError, SecurityError
from hetorch.server.settings import Settings
from hetorch.serving.models import ServedModel
from tests.client.strange_server import strange_server
from tests.client.test_client import ERROR, samples
from tests.client.test_transport import dripping
from tests.server.live import live
from tests.server.small_plan import expected


def test_the_public_name() -> None:
    assert hetorch.AsyncClient is AsyncClient


def test_predictions_one_after_the_other_and_at_once(url: str, vault: Vault) -> None:
    x = samples(5)

    async def use() -> None:
        async with AsyncClient(url, vault=vault, allow_insecure=True) as client:
            assert client.model == "small"
            one = await client.predict(x[0])
            assert np.abs(one - expected(x[0])).max() < ERROR
            rows = await asyncio.gather(*(client.predict(row) for row in x))
            assert np.abs(np.array(rows) - expected(x)).max() < ERROR
            assert client.key_bytes > client.request_bytes > 0 < client.timings[0].total
        with pytest.raises(RemoteError, match="is closed; make a new one"):
            await client.predict(x[0])

    asyncio.run(use())


def test_keys_that_the_server_dropped_are_uploaded_again(served: ServedModel, tmp_path: Path) -> None:
    x = samples(1)
    settings = Settings(key_memory=served.key_kind.memory_bytes)

    async def use(url: str) -> None:
        async with (
            AsyncClient(url, vault=tmp_path / "a", allow_insecure=True) as first,
            AsyncClient(url, vault=tmp_path / "b", allow_insecure=True) as second,
        ):
            for client in (first, second, first):
                assert np.abs(await client.predict(x) - expected(x)).max() < ERROR

    with live({"small": served}, settings) as url:
        asyncio.run(use(url))


def test_encryption_does_not_run_in_the_thread_of_the_loop(
    url: str, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    encrypt, decrypt = SecretKey.encrypt, SecretKey.decrypt

    def noting(self: SecretKey, *args: object, **options: object) -> object:
        threads.add(threading.get_ident())
        return (encrypt if options else decrypt)(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(SecretKey, "encrypt", noting)
    monkeypatch.setattr(SecretKey, "decrypt", noting)

    async def use() -> None:
        async with AsyncClient(url, vault=vault, allow_insecure=True) as client:
            await client.predict(samples(1))

    asyncio.run(use())
    assert threads and threading.get_ident() not in threads


def test_warnings_name_the_line_of_the_user(url: str, vault: Vault) -> None:
    async def use() -> None:
        async with AsyncClient(url, vault=vault, allow_insecure=True) as client:
            await client.predict(np.full(8, 1.5))

    with pytest.warns(InputRangeWarning, match="calibrated") as caught:
        asyncio.run(use())
    assert caught[0].filename == __file__


def test_before_it_is_open(url: str, vault: Vault) -> None:
    client = AsyncClient(url, vault=vault, allow_insecure=True)
    with pytest.raises(RemoteError, match="is not open yet"):
        asyncio.run(client.predict(samples(1)))


def test_an_insecure_plan_is_refused_and_no_key_is_made(url: str, tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="nothing was sent"):
        asyncio.run(AsyncClient(url, vault=tmp_path / "keys").open())
    assert list((tmp_path / "keys").iterdir()) == []


def test_a_transport_of_the_other_kind_is_refused(url: str, vault: Vault) -> None:
    with pytest.raises(InputError, match=r"AsyncBaseTransport; hetorch\.Client takes"):
        AsyncClient(url, vault=vault, transport=httpx.HTTPTransport())


@pytest.mark.parametrize(
    ("first", "drip"),
    [(b"HTTP/1.1 200 OK\r\nX: ", b"a"), (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")],
    ids=["header", "informational"],
)
def test_a_dripping_head_is_cut_off(vault: Vault, first: bytes, drip: bytes) -> None:
    with (
        dripping(first, drip) as url,
        pytest.raises(RemoteError, match=r"did not answer GET /v1/models within 0\.3 s"),
    ):
        asyncio.run(AsyncClient(url, vault=vault, timeout=0.3).open())


def test_a_dripping_answer_is_cut_off(vault: Vault) -> None:
    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(1000):
                await asyncio.sleep(0.05)
                yield b" "

    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Drip()))
    with pytest.raises(RemoteError, match=r"did not finish its answer within 0\.3 s"):
        asyncio.run(AsyncClient("http://127.0.0.1:1", vault=vault, timeout=0.3, transport=transport).open())


def test_the_loop_goes_on_while_a_server_is_busy(vault: Vault) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def use(url: str) -> None:
        ticking = asyncio.create_task(tick())
        with pytest.raises(RemoteError, match="says: busy"):
            await AsyncClient(url, vault=vault, timeout=0.5).open()
        ticking.cancel()

    with strange_server(lambda path: (503, {"Retry-After": "0"}, b'{"error": "busy"}')) as url:
        asyncio.run(use(url))
    assert ticks > 5


def test_a_cancelled_task_stops_waiting(vault: Vault) -> None:
    async def use(url: str) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await AsyncClient(url, vault=vault, timeout=30.0).open()

    begin = time.monotonic()
    with dripping(b"", b"") as url:
        asyncio.run(use(url))
    assert time.monotonic() - begin < 10
