"""Connections on which nothing happens: they are limited, closed and told once, and others are served."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hetorch.errors import InputError
from hetorch.server.connections import RESERVED_DESCRIPTORS, ConnectionLimits, counted_address
from hetorch.server.settings import Settings
from hetorch.serving.quiet_log import QUIET_SECONDS, QuietLog
from tests.server.certificates import Authority

DESCRIPTORS = RESERVED_DESCRIPTORS + 100
IDLE = 600

SERVER = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {descriptors}))
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from hetorch.server.exposure import Tls
from hetorch.server.run import bind, run
from hetorch.server.settings import Settings

async def answer(request):
    limits = request.app.state.connections
    return JSONResponse([limits.open, limits.refused, resource.getrlimit(resource.RLIMIT_NOFILE)[0]])

app = Starlette(routes=[Route("/", answer)])
settings = Settings(head_timeout={head_timeout}, connections={connections})
run(app, bind("127.0.0.1", 0), settings, lambda address: print(address, flush=True), tls={tls})
"""


@contextlib.contextmanager
def idle_sockets(url: str, sources: list[str], head: bytes) -> Iterator[list[socket.socket]]:
    """Open IDLE connections from these addresses of this machine and send nothing but the beginning of a head."""
    host, _, port = url.partition("//")[2].rpartition(":")
    with contextlib.ExitStack() as stack:
        opened = []
        for index in range(IDLE):
            source = (sources[index % len(sources)], 0)
            idle = stack.enter_context(socket.create_connection((host, int(port)), 10, source))
            with contextlib.suppress(OSError):  # it may be closed already
                idle.sendall(head)
            opened.append(idle)
        yield opened


def closed(idle: socket.socket) -> bool:
    idle.settimeout(0.01)
    try:
        return idle.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def ask(url: str) -> list[int]:
    """Return open connections, refused ones and the limit of descriptors; asks again while connections are refused."""
    deadline = time.monotonic() + 30
    while True:
        try:
            answer: list[int] = httpx.get(url, timeout=10, trust_env=False).json()
            return answer
        except httpx.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize(
    "sources", [["127.0.0.2"], [f"127.0.1.{n}" for n in range(1, 51)]], ids=["one", "many"]
)
def test_idle_connections_stop_nobody(sources: list[str]) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SERVER.format(descriptors=DESCRIPTORS, head_timeout=2, connections=4096, tls=None),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        with idle_sockets(url, sources, b"GET / HTTP/1.1\r\n") as opened:
            connections, refused, descriptors = ask(url)
            assert descriptors == DESCRIPTORS  # raised to the hard limit
            assert connections <= DESCRIPTORS - RESERVED_DESCRIPTORS
            assert refused > 0
            assert sum(map(closed, opened)) >= IDLE - (DESCRIPTORS - RESERVED_DESCRIPTORS)
            deadline = time.monotonic() + 30
            while not all(map(closed, opened)):
                assert time.monotonic() < deadline
        assert ask(url)[0] == 1
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    lines = [line for line in errors.splitlines() if line]
    assert len(lines) == 2 and "holds 100 connections and not 4096" in lines[0], errors
    assert "a connection was refused" in lines[1], errors
    assert process.returncode == 0


def test_the_limit_of_descriptors_is_raised_to_what_the_connections_need() -> None:
    """And not further: a process that is started by this one may visit every descriptor up to the limit."""
    program = SERVER.format(descriptors=4096, head_timeout=2, connections=100, tls=None)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert ask(process.stdout.readline().strip())[2] == 100 + RESERVED_DESCRIPTORS
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=60)
    assert errors == ""


def test_handshakes_that_never_end_count_as_connections(tmp_path: Path) -> None:
    """They are limited and closed like idle ones, and stop nobody: uvicorn sees a connection after its handshake."""
    authority = Authority(tmp_path, "hospital")
    ours = authority.sign("server")
    tls = f"Tls({str(ours.both)!r})"
    program = SERVER.format(descriptors=DESCRIPTORS, head_timeout=2, connections=40, tls=tls)
    context = ssl.create_default_context(cafile=authority.root)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            with idle_sockets(url, [f"127.0.1.{n}" for n in range(1, 51)], b"") as opened:
                deadline = time.monotonic() + 30
                while True:
                    assert time.monotonic() < deadline
                    with contextlib.suppress(httpx.HTTPError):
                        count, refused, _ = httpx.get(url, timeout=10, trust_env=False, verify=context).json()
                        break
                assert count <= 40 and refused >= IDLE - 3 * 40
                while not all(map(closed, opened)):
                    assert time.monotonic() < deadline
            assert httpx.get(url, trust_env=False, verify=context).json()[0] == 1
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=60)
    assert [line for line in errors.splitlines() if "a connection was refused" not in line] == [], errors


def test_one_address_cannot_take_all_connections() -> None:
    limits = ConnectionLimits.within(Settings(connections=10), 1024)
    assert [limits.admit("a") for _ in range(7)] == [True] * 5 + [False] * 2
    assert all(limits.admit("b") for _ in range(5)) and not limits.admit("c")
    limits.release("a")
    assert limits.admit("c") and not limits.admit("a")
    assert (limits.open, limits.refused) == (10, 4)
    behind_proxy = Settings(connections=10, trusted_proxies=("10.0.0.1",))
    assert ConnectionLimits.within(behind_proxy, 1024).per_address == 10  # the proxy is one address


def test_too_few_descriptors_are_refused() -> None:
    with pytest.raises(InputError, match="raise the hard limit"):
        ConnectionLimits.within(Settings(), RESERVED_DESCRIPTORS)
    assert ConnectionLimits.within(Settings(), 1 << 20).total == Settings().connections


def test_an_ipv6_network_is_one_address() -> None:
    assert counted_address("2001:db8::1") == counted_address("2001:db8::ffff:2") == "2001:db8::/64"
    assert counted_address("2001:db8:0:1::1") != counted_address("2001:db8::1")
    assert counted_address("::ffff:192.0.2.1") == counted_address("192.0.2.1") == "192.0.2.1"
    assert counted_address("fe80::1%eth0") == "fe80::/64" and counted_address("") == ""


def test_a_quiet_log_tells_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    quiet = QuietLog(logging.getLogger("hetorch.server"), lambda: now)
    for _ in range(5):
        quiet.warn("full")
    now = QUIET_SECONDS
    quiet.warn("full")
    quiet.warn("full")
    assert [r.getMessage() for r in caplog.records] == ["full", "full (4 more since the last line)"]
