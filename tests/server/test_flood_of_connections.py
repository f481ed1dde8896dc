"""1,100 idle connections against `hetorch serve` with 1,024 descriptors: honest requests are served, and the log stays
short."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.wire import addresses
from hetorch.wire.predict import load_response
from tests.cli.command import server_process
from tests.server.conftest import OCTETS, make_owner
from tests.server.small_plan import expected, small_plan

IDLE = 1100
DESCRIPTORS = 1024


@contextlib.contextmanager
def many_descriptors() -> Iterator[None]:
    """Let this process open IDLE sockets until the block ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < IDLE + 200:
        pytest.skip("this process may not open as many sockets")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(IDLE + 200, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_connections_of_many_addresses_stop_nobody(tmp_path: Path) -> None:
    plan = small_plan()
    plan.save(tmp_path / "small.hetorch")
    owner, x = make_owner(plan.public()), np.linspace(-1, 1, 8)
    with (
        many_descriptors(),
        server_process([tmp_path / "small.hetorch"], tmp_path) as (url, process),
        contextlib.ExitStack() as opened,
    ):
        # Below the number of connections that the server has planned with, so that it cannot even accept some.
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        host, _, port = url.removeprefix("http://").rpartition(":")
        for index in range(IDLE):
            source = (f"127.0.2.{1 + index % 50}", 0)
            with contextlib.suppress(OSError):  # what is beyond the limit may be reset at once
                idle = socket.create_connection((host, int(port)), 10, source)
                opened.callback(idle.close)
                idle.sendall(b"GET /v1/health/live HTTP/1.1\r\n")
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
            key_id = ""
            for _ in range(30):  # connections are free again within seconds
                with contextlib.suppress(httpx.TransportError):
                    key_id = http.put(addresses.keys("small"), content=owner.keys, headers=OCTETS).json()[
                        "key_id"
                    ]
                    break
            request = owner.request(key_id, list(x))
            headers = OCTETS | {addresses.KEY_ID_HEADER: key_id}
            answer = http.post(addresses.predict("small"), content=request, headers=headers)
        response = load_response(owner.plan, answer.content, request)
        result = owner.plan.unpack([owner.secret.decrypt(c) for c in response.ciphertexts])
        np.testing.assert_allclose(result, expected(x), atol=1e-4)
    assert len((tmp_path / "server.log").read_bytes()) < 100_000
