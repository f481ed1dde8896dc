"""The server's process: its ready file, and connections on which nothing happens."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hetorch.server import guard
from hetorch.server.app import insecure_app_beside_secrets
from hetorch.server.connections import ConnectionLimits
from hetorch.server.guard import Guard
from hetorch.server.run import _Server, address_of, bind, ready_file, write_ready_file
from hetorch.server.settings import Settings
from hetorch.serving.models import ServedModel


def test_a_link_in_the_way_of_the_ready_file_is_not_followed(tmp_path: Path) -> None:
    """The folder may be one in which others may write."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    ready = tmp_path / "ready"
    ready.symlink_to(precious)
    write_ready_file(ready, "http://127.0.0.1:8000")
    assert ready.read_text() == "http://127.0.0.1:8000\n" and not ready.is_symlink()
    assert precious.read_text() == "mine"
    write_ready_file(ready, "http://127.0.0.1:8001")
    assert ready.read_text() == "http://127.0.0.1:8001\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", "ready"]


def test_the_ready_file_lives_as_long_as_the_server(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    ready.write_text("http://127.0.0.1:1\n")
    with ready_file(ready) as write:
        assert not ready.exists()
        write("http://127.0.0.1:8000")
        assert ready.read_text() == "http://127.0.0.1:8000\n"
    assert not ready.exists()
    with ready_file(ready) as write:
        write("http://127.0.0.1:8000")
        write_ready_file(ready, "http://127.0.0.1:9000")  # of another server
    assert ready.read_text() == "http://127.0.0.1:9000\n"


@pytest.mark.parametrize("beginning", [b"", b"GET /v1/health/live HTTP/1.1\r\nX: "])
def test_connections_without_a_request_are_closed(served: ServedModel, beginning: bytes) -> None:
    """The head of a request may drip regularly and is still cut off; a client that asks again and again is not."""
    bound = bind("127.0.0.1", 0)
    listens = threading.Event()
    config = uvicorn.Config(
        insecure_app_beside_secrets({"small": served}), log_level="critical", lifespan="on"
    )
    server = _Server(
        config, listens.set, Settings(head_timeout=1.0, idle_timeout=1.0), ConnectionLimits(9, 9)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        assert listens.wait(20)
        begin = time.monotonic()
        with (
            httpx.Client(base_url=address_of(bound), trust_env=False) as busy,
            socket.create_connection(bound.getsockname()) as idle,
        ):
            idle.sendall(beginning)
            idle.settimeout(0.05)
            closed = False
            ports = set()
            while not closed and time.monotonic() - begin < 10:
                answer = busy.get("/v1/health/live")
                assert answer.status_code == 200
                ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
                try:
                    closed = idle.recv(1) == b""
                except TimeoutError:
                    if beginning:
                        idle.sendall(b"a")
                except ConnectionError:
                    closed = True
            assert closed and 1.0 < time.monotonic() - begin < 8
            while time.monotonic() - begin < 4:
                time.sleep(0.05)
                answer = busy.get("/v1/health/live")
                ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
            assert len(ports) == 1
    finally:
        server.should_exit = True
        thread.join(20)
        bound.close()


def test_connections_that_do_not_read_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is in the buffers of the connection, which closes by itself only when the client reads it."""

    monkeypatch.setattr(guard, "SLOWEST_BYTES_PER_SECOND", 1 << 40)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await Response(bytes(16 << 20))(scope, receive, send)

    bound = bind("127.0.0.1", 0)
    listens = threading.Event()
    guarded = Guard(app, idle_timeout=0.5)
    config = uvicorn.Config(guarded, log_level="critical", lifespan="off")
    server = _Server(
        config, listens.set, Settings(head_timeout=1.0, idle_timeout=1.0), ConnectionLimits(9, 9)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        assert listens.wait(20)
        with socket.socket() as idle:
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.connect(bound.getsockname())
            idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            begin = time.monotonic()
            while not server.server_state.connections and time.monotonic() - begin < 10:
                time.sleep(0.02)
            while server.server_state.connections and time.monotonic() - begin < 20:
                time.sleep(0.1)
            assert not server.server_state.connections
    finally:
        server.should_exit = True
        thread.join(20)
        bound.close()


class WebSocket(asyncio.Protocol):
    """A protocol that an installed package would bring; it never ends a connection."""

    def __init__(self, *_: object, **__: object) -> None:
        raise AssertionError("the connection was given to another protocol")


def test_an_upgrade_is_an_ordinary_request(served: ServedModel) -> None:
    """Whatever packages for web sockets are installed; the connection is counted until it ends."""
    bound, listens, limits = bind("127.0.0.1", 0), threading.Event(), ConnectionLimits(9, 9)
    app = insecure_app_beside_secrets({"small": served})
    config = uvicorn.Config(app, log_level="critical", lifespan="on", ws=WebSocket)
    server = _Server(config, listens.set, Settings(), limits)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        assert listens.wait(20)
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        }
        answer = httpx.get(
            f"{address_of(bound)}/v1/health/live", headers=upgrade, trust_env=False, timeout=20
        )
        assert answer.status_code == 200
        deadline = time.monotonic() + 20
        while limits.open:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        server.should_exit = True
        thread.join(20)
        bound.close()
