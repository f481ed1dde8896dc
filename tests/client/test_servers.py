"""Several servers of one model, and the rotation of keys on them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.client import AsyncClient, Client, Vault
from hetorch.errors import InputError, PlanUseError, RemoteError, VaultError
from hetorch.serving.models import ServedModel, serve_plan
from tests.client.strange_server import Reply, strange_server
from tests.client.test_client import ERROR, samples
from tests.server.live import live
from tests.server.small_plan import expected, small_plan


@pytest.fixture(scope="module")
def second(served: ServedModel) -> Iterator[str]:
    with live({"small": served}) as address:
        yield address


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}"


class Faulty(httpx.HTTPTransport):
    """Answers for the servers of `away` with a fault, and notes what each server is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.away: dict[str, Exception | int] = {}
        self.asked: list[tuple[str, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        address = f"http://{request.url.netloc.decode()}"
        self.asked.append((address, f"{request.method} {request.url.path}"))
        fault = self.away.get(address)
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return httpx.Response(fault, headers={"Retry-After": "0"}, stream=httpx.ByteStream(b"{}"))
        return super().handle_request(request)


def right(client: Client, seed: int = 0) -> bool:
    x = samples(2)
    return bool(np.abs(client.predict(x) - expected(x, seed)).max() < ERROR)


def test_the_next_server_is_asked_where_the_first_is_away(nobody: str, url: str, vault: Vault) -> None:
    with Client([nobody, url], vault=vault, allow_insecure=True) as client:
        assert right(client)
        assert repr(client).startswith(f"Client('{url}'")


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("slow"),
        503,
        429,
        502,
        504,
    ],
    ids=str,
)
def test_a_server_that_goes_is_left_and_the_next_one_gets_keys(
    url: str, second: str, tmp_path: Path, fault: Exception | int
) -> None:
    transport = Faulty()
    with Client([url, second], vault=tmp_path / "keys", allow_insecure=True, transport=transport) as client:
        assert right(client)
        assert {address for address, _ in transport.asked} == {url}
        transport.away[url] = fault
        assert right(client)
        assert (second, "POST /v1/models/small/uploads") in transport.asked
        transport.asked.clear()
        assert right(client)  # it is not asked again while the second one answers
        assert {address for address, _ in transport.asked} == {second}
        transport.away = {second: fault}
        assert right(client)


def test_when_all_are_away_the_last_error_is_told(url: str, second: str, vault: Vault) -> None:
    transport = Faulty()
    with Client([url, second], vault=vault, allow_insecure=True, transport=transport) as client:
        client.prepare()
        transport.away = {url: httpx.ReadTimeout("slow"), second: httpx.ReadTimeout("slow")}
        with pytest.raises(RemoteError, match=f"{second} did not answer"):
            client.predict(samples(1))


def test_a_refusal_is_not_carried_from_server_to_server(url: str, second: str, vault: Vault) -> None:
    transport = Faulty()
    with Client([url, second], vault=vault, allow_insecure=True, transport=transport) as client:
        client.prepare()
        transport.asked.clear()
        transport.away = {url: 403}
        with pytest.raises(RemoteError) as caught:
            client.predict(samples(1))
        assert caught.value.status == 403
        assert {address for address, _ in transport.asked} == {url}


def test_a_server_with_another_plan_is_refused(url: str, vault: Vault) -> None:
    transport = Faulty()
    other = serve_plan("small", small_plan(seed=1))
    with (
        live({"small": other}) as strange,
        Client([url, strange], vault=vault, allow_insecure=True, transport=transport) as client,
    ):
        assert right(client)
        transport.away[url] = httpx.ConnectError("refused")
        with pytest.raises(PlanUseError, match="has another model 'small' than the server before it"):
            client.predict(samples(1))


def test_tasks_go_on_with_the_next_server_too(nobody: str, url: str, vault: Vault) -> None:
    x = samples(3)

    async def use() -> None:
        async with AsyncClient([nobody, url], vault=vault, allow_insecure=True) as client:
            rows = await asyncio.gather(*(client.predict(row) for row in x))
            assert np.abs(np.array(rows) - expected(x)).max() < ERROR

    asyncio.run(use())


def test_no_address_at_all(vault: Vault) -> None:
    with pytest.raises(InputError, match="there is no address"):
        Client([], vault=vault)


class Deleting(Faulty):
    """Answers DELETE with a status, and passes everything else on."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__()
        self.deleted: list[str] = []
        self.answer = status, body

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "DELETE":
            return super().handle_request(request)
        self.deleted.append(str(request.url))
        return httpx.Response(self.answer[0], stream=httpx.ByteStream(self.answer[1]))


@pytest.mark.parametrize(
    ("status", "body", "gone"),
    [
        (200, b"{}", True),
        (404, b'{"error": "not here", "code": "keys_missing"}', True),
        (405, b'{"error": "no such method", "code": "method_not_allowed"}', False),
        (500, b"", False),
    ],
)
@pytest.mark.parametrize("passphrase", [None, "p"])
def test_new_keys_take_the_place_of_the_old_ones(
    url: str,
    second: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
    gone: bool,
    passphrase: str | None,
) -> None:
    monkeypatch.setattr("hetorch.client.sealing.SCRYPT_COST", 1 << 14)
    vault = Vault(tmp_path / "keys", passphrase=passphrase)
    transport = Deleting(status, body)
    with Client([url, second], vault=vault, allow_insecure=True, transport=transport) as client:
        assert right(client)
        old, seed = client.make_keys(), vault.seed(client.plan.parameters)
        assert client.rotate_keys() is gone
        assert transport.deleted == [f"{one}/v1/models/small/keys/{old.key_id}" for one in (url, second)]
        new = client.make_keys()
        assert new.key_id != old.key_id and not old.path.exists()
        assert vault.seed(client.plan.parameters) != seed
        assert right(client)
        transport.away[url] = httpx.ConnectError("refused")
        assert right(client)  # the second one gets the new keys


def test_a_rotation_that_fails_half_way_is_made_up_for(url: str, vault: Vault, tmp_path: Path) -> None:
    transport = Deleting(200, b"{}")
    with Client(url, vault=tmp_path / "keys", allow_insecure=True, transport=transport) as client:
        assert right(client)
        transport.away[url] = httpx.ReadTimeout("slow")
        with pytest.raises(RemoteError, match="did not answer"):
            client.rotate_keys()
        transport.away.clear()
        assert right(client)


def test_a_rotation_without_keys_makes_some(url: str, tmp_path: Path) -> None:
    with Client(url, vault=tmp_path / "keys", allow_insecure=True) as client:
        assert client.rotate_keys()
        assert right(client)


def test_a_vault_that_cannot_be_written_keeps_its_key(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(tmp_path / "keys")
    with Client(url, vault=vault, allow_insecure=True) as client:
        assert right(client)
        seed = vault.seed(client.plan.parameters)

        def refuse(folder: Path) -> None:
            raise VaultError("read-only")

        with monkeypatch.context() as patched:
            patched.setattr("hetorch.client.vault.discard_seed", refuse)
            with pytest.raises(VaultError, match="read-only"):
                client.rotate_keys()
        assert vault.seed(client.plan.parameters) == seed
        assert right(client)


def test_a_busy_first_server_is_not_waited_for(url: str, vault: Vault) -> None:
    """Alone it would be asked again for a minute, whenever it says."""
    asked: list[str] = []

    def busy(path: str) -> Reply:
        asked.append(path)
        return 503, {"Retry-After": "0"}, b'{"error": "busy"}'

    with (
        strange_server(busy) as first,
        Client([first, url], vault=vault, allow_insecure=True, timeout=60.0) as client,
    ):
        assert right(client)
    assert len(asked) == 1
