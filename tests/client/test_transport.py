"""The client against servers that are away, silent, slow or strange."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from hetorch.client import Client, Vault
from hetorch.client.blocking import finish
from hetorch.client.transport import ANSWER_ROOM_SECONDS, FIRST_ANSWER_SECONDS, Transport
from hetorch.errors import (
    HetorchError,
    InputError,
    RemoteError,
)
from hetorch.server.settings import Settings
from hetorch.serving.models import ServedModel
from hetorch.wire.limits import MAX_REQUEST_SECONDS, REQUEST_SECONDS
from hetorch.wire.time_limit import TIME_LIMIT_HEADER
from tests.client.strange_server import Reply, strange_server
from tests.client.test_client import ERROR, samples
from tests.server.live import live
from tests.server.small_plan import expected
from tests.server.workers import paused


def test_a_server_without_tls_at_an_address_with_it(vault: Vault) -> None:
    with (
        strange_server(lambda path: (200, {}, b"")) as url,
        pytest.raises(RemoteError, match="does not speak TLS"),
    ):
        Client(url.replace("http:", "https:"), vault=vault)


@pytest.mark.parametrize(
    "address", ["", "localhost:8000", "ftp://host", "http://", "http://host:port", "file:///etc/passwd"]
)
def test_what_is_no_address(address: str, vault: Vault) -> None:
    with pytest.raises(InputError, match="is not an address"):
        Client(address, vault=vault)


def test_nobody_there(vault: Vault) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(RemoteError, match="is `hetorch serve` running") as caught:
            Client(f"http://127.0.0.1:{port}", vault=vault)
    assert (caught.value.status, caught.value.code) == (None, None)


def test_a_silent_server_times_out(vault: Vault) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RemoteError, match=r"did not answer .* within 0\.3 s; wait longer with timeout="):
            Client(f"http://127.0.0.1:{port}", vault=vault, timeout=0.3)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_timeout_must_be_positive(timeout: float, vault: Vault) -> None:
    with pytest.raises(InputError, match="positive"):
        Client("http://127.0.0.1:1", vault=vault, timeout=timeout)


@pytest.mark.parametrize(
    ("limit", "timeout", "waits"),
    [
        (700.0, None, 700 + ANSWER_ROOM_SECONDS),  # longer than the default of the server, as its owner chose
        (0.5, None, 0.5 + ANSWER_ROOM_SECONDS),
        (1e12, None, MAX_REQUEST_SECONDS + ANSWER_ROOM_SECONDS),
        (None, None, REQUEST_SECONDS + ANSWER_ROOM_SECONDS),  # a server or a proxy that does not tell it
        (700.0, 5.0, 5.0),  # the user's own word stays
    ],
)
def test_the_client_waits_as_long_as_the_server_allows_itself(
    served: ServedModel, vault: Vault, limit: float | None, timeout: float | None, waits: float
) -> None:
    settings = Settings() if limit is None else Settings(request_timeout=limit)
    waited: dict[str, float] = {}

    class Noting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method != "DELETE":  # acknowledging a job has a time of its own
                waited[request.url.path] = request.extensions["timeout"]["read"]
            response = super().handle_request(request)
            if limit is None:
                response.headers.pop(TIME_LIMIT_HEADER, None)
            return response

    with (
        live({"small": served}, settings) as url,
        Client(
            url, vault=vault, model="small", allow_insecure=True, timeout=timeout, transport=Noting()
        ) as client,
    ):
        assert waited == {"/v1/models/small": FIRST_ANSWER_SECONDS if timeout is None else timeout}
        with contextlib.suppress(RemoteError):  # half a second may be too short for the upload of the keys
            client.predict(samples(1))
        assert client._session.servers.all[0].transport._timeout == waits
        assert {read for path, read in waited.items() if path != "/v1/models/small"} == {waits}


def test_a_prediction_that_takes_longer_than_the_first_answer_may(
    served: ServedModel, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watchdog waits for the server's limit too: it is not the time for the first answer that counts."""
    monkeypatch.setattr("hetorch.client.transport.FIRST_ANSWER_SECONDS", 1.0)
    x = samples(1)
    with (
        live({"small": served}) as url,
        httpx.Client(base_url=url, trust_env=False) as http,
        Client(url, vault=vault, allow_insecure=True) as client,
        contextlib.ExitStack() as stack,
    ):
        client.prepare()
        stack.enter_context(paused(http))
        threading.Timer(1.5, stack.close).start()
        assert np.abs(client.predict(x) - expected(x)).max() < ERROR


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ((200, {}, b"<html>hello</html>"), "is it a hetorch server"),
        ((200, {}, b"{}"), "no list"),
        ((404, {}, b"<html>"), "404 without an explanation"),
        (
            (302, {"Location": "http://127.0.0.1:1/"}, b""),
            r"redirects to http://127\.0\.0\.1:1/ \(status 302\)",
        ),
        ((500, {}, b'{"error": "the server failed"}'), "says: the server failed"),
        ((503, {"Retry-After": "30"}, b'{"error": "busy"}'), "says: busy"),
        ((200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"), "compressed"),
        ((200, {}, bytes(1 << 17)), "more than the 65.5 kB"),
        ((200, {"Content-Length": "100"}, b"{}"), "broke"),
    ],
)
def test_strange_answers_are_told_in_one_sentence(reply: Reply, sentence: str, vault: Vault) -> None:
    with strange_server(lambda path: reply) as url, pytest.raises(HetorchError, match=sentence) as caught:
        Client(url, vault=vault, timeout=2.0)
    assert "\n" not in str(caught.value)


def test_a_dripping_answer_is_cut_off(vault: Vault) -> None:
    """Every byte comes well within the time of one read; the whole answer would take minutes."""

    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(1000):
                time.sleep(0.05)
                yield b" "

    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Drip()))
    with pytest.raises(RemoteError, match=r"did not finish its answer within 0\.3 s"):
        Client("http://127.0.0.1:1", vault=vault, timeout=0.3, transport=transport)


@contextlib.contextmanager
def dripping(first: bytes, drip: bytes) -> Iterator[str]:
    """Run a server that sends `first`, and `drip` again and again for at most ten seconds; gives its address."""
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(first)
            while not done.wait(0.05):
                connection.sendall(drip)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        killer = threading.Timer(10, done.set)
        killer.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            killer.cancel()
            thread.join()


@pytest.mark.parametrize(
    ("first", "drip"),
    [(b"HTTP/1.1 200 OK\r\nX: ", b"a"), (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")],
    ids=["header", "informational"],
)
def test_a_dripping_head_is_cut_off(vault: Vault, first: bytes, drip: bytes) -> None:
    """The same as a dripping body, before the body begins."""
    begin = time.monotonic()
    with (
        dripping(first, drip) as url,
        pytest.raises(RemoteError, match=r"did not answer GET /v1/models within 0\.3 s"),
    ):
        Client(url, vault=vault, timeout=0.3)
    assert time.monotonic() - begin < 5


def test_a_server_that_takes_a_request_bit_by_bit_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hetorch.client.watch.SLOWEST_BYTES_PER_SECOND", 1 << 40)
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while not done.wait(0.1) and connection.recv(1 << 20):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        killer = threading.Timer(10, done.set)
        killer.start()
        begin = time.monotonic()
        try:
            transport = Transport(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=1.0)
            with pytest.raises(RemoteError, match=r"did not answer PUT /keys within 1 s"):
                finish(transport.send("PUT", "/keys", content=bytes(100 << 20)))
            finish(transport.close())
            assert time.monotonic() - begin < 4
        finally:
            done.set()
            killer.cancel()
            thread.join()


def test_a_busy_server_is_asked_again(vault: Vault) -> None:
    asked: list[str] = []

    def reply(path: str) -> Reply:
        asked.append(path)
        return 503, {"Retry-After": "0"}, b'{"error": "busy"}'

    with strange_server(reply) as url, pytest.raises(RemoteError, match="busy"):
        Client(url, vault=vault, timeout=0.5)
    assert 1 < len(asked) <= 6  # and not as often as it can be


def test_a_transport_can_be_given(url: str, vault: Vault) -> None:
    seen: list[str] = []

    class Noting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request.url.path)
            return super().handle_request(request)

    with Client(url, vault=vault, allow_insecure=True, transport=Noting()) as client:
        client.predict(samples(1))
    assert seen[-1] == "/v1/models/small/predict"
