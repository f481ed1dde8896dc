"""Worker processes behind HTTP: a client that goes away, a worker that is killed, a stranger who floods, and a server
that is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from hetorch.server.settings import Settings
from hetorch.server.tokens import issue, save_tokens
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.wire.addresses import STATUS
from tests.cli.command import server_process
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.scrape import scrape
from tests.server.slow_plan import slow_plan
from tests.server.workers import wait_for_pending, wait_until, worker_pids

PREDICT, KEYS = "/v1/models/slow/predict", "/v1/models/slow/keys"


@pytest.fixture(scope="module")
def http(slow: ServedModel) -> Iterator[httpx.Client]:
    with (
        live({"slow": slow}, Settings(workers=1)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):
        yield client


def put(http: httpx.Client, owner: Owner, **headers: str) -> str:
    answer = http.put(KEYS, content=owner.keys, headers=OCTETS | headers).raise_for_status()
    key_id: str = answer.json()["key_id"]
    return key_id


def raw_request(owner: Owner, key_id: str) -> bytes:
    body = owner.request(key_id)
    head = (
        f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nHetorch-Key-Id: {key_id}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def runs(http: httpx.Client) -> int:
    """Return the number of predictions that ran to their end."""
    return round(scrape(http)("step_seconds_count", step="run"))


def test_the_work_of_a_client_that_goes_away_stops(http: httpx.Client, slow_owner: Owner) -> None:
    """Both what runs and what waits; the worker is the one that it was."""
    key_id, before, ended = put(http, slow_owner), worker_pids(http), runs(http)
    host, _, port = str(http.base_url).removeprefix("http://").rstrip("/").rpartition(":")
    clients = [socket.create_connection((host, int(port))) for _ in range(3)]
    for client in clients:
        client.sendall(raw_request(slow_owner, key_id))
    wait_for_pending(http, 3)
    for client in clients:
        client.close()
    wait_for_pending(http, 0)
    assert runs(http) == ended and worker_pids(http) == before
    numbers = scrape(http)
    assert numbers.failed == numbers("requests_total", status="503") == 0


def test_a_client_does_not_see_that_a_worker_was_killed(http: httpx.Client, slow_owner: Owner) -> None:
    key_id = put(http, slow_owner)
    headers = OCTETS | {"Hetorch-Key-Id": key_id}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(http.post, PREDICT, content=slow_owner.request(key_id), headers=headers)
        wait_for_pending(http, 1)
        (pid,) = worker_pids(http)
        os.kill(pid, signal.SIGKILL)
        assert asked.result().status_code == 200
    assert worker_pids(http) != [pid]


def test_two_killed_workers_are_told(http: httpx.Client, slow_owner: Owner) -> None:
    key_id = put(http, slow_owner)
    headers = OCTETS | {"Hetorch-Key-Id": key_id}

    killed: list[int] = []

    def computing() -> list[int]:
        workers = http.get(STATUS).json()["workers"]
        return [worker["pid"] for worker in workers if worker["model"] is not None]

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(http.post, PREDICT, content=slow_owner.request(key_id), headers=headers)
        for _ in range(2):
            wait_until(lambda: bool(set(computing()) - set(killed)))
            killed.extend(computing())
            os.kill(killed[-1], signal.SIGKILL)
        answer = asked.result()
    assert (answer.status_code, answer.json()["code"]) == (500, "worker_lost")
    assert "signal 9" in answer.json()["error"]


def test_a_stranger_with_32_connections_does_not_starve_a_tenant(tmp_path: Path) -> None:
    """The queue has 16 places and the stranger always asks for 32, so that without turns nearly all others would get
    503. A request of the honest tenant waits for what runs and for one turn of the stranger's: none is refused."""
    model = serve_plan("slow", slow_plan(400))
    owner = make_owner(model.public)
    texts, tokens = zip(*(issue(tenant, tenant) for tenant in ("stranger", "honest")), strict=True)
    save_tokens(tmp_path / "tokens.json", tokens)
    settings = Settings(workers=1, queue=16, tokens=tmp_path / "tokens.json")
    ended = threading.Event()
    refused: list[int] = []
    with live({"slow": model}, settings) as url:

        def flood(client: httpx.Client, key_id: str) -> None:
            while not ended.is_set():
                headers = OCTETS | {"Hetorch-Key-Id": key_id}
                refused.append(client.post(PREDICT, content=body, headers=headers).status_code)

        with ThreadPoolExecutor(32) as pool:
            clients = []
            for text in texts:
                client = httpx.Client(
                    base_url=url, trust_env=False, timeout=60, headers={"Authorization": f"Bearer {text}"}
                )
                clients.append(client)
            for client in clients:
                key_id = put(client, owner)
            body = owner.request(key_id)
            for _ in range(32):
                pool.submit(flood, clients[0], key_id)
            try:
                wait_until(lambda: 503 in refused)  # the queue is full
                headers = OCTETS | {"Hetorch-Key-Id": key_id}
                answers = [
                    clients[1].post(PREDICT, content=body, headers=headers).status_code for _ in range(25)
                ]
            finally:
                ended.set()
        for client in clients:
            client.close()
    assert answers == [200] * 25
    assert refused.count(503) and refused.count(200)


def alive(pid: int) -> bool:
    """True unless the process has ended; one that nobody has waited for counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    """Return the processes below one, all generations."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    below = [pid]
    for parent in below:
        below += [child for child, its_parent in pairs if its_parent == parent]
    return below[1:]


def test_nothing_of_a_killed_server_stays(tmp_path: Path) -> None:
    """Its workers end, also the one that computes: at its next operation."""
    plan = tmp_path / "slow.hetorch"
    slow_plan().save(plan)
    with (
        server_process([plan], tmp_path) as (url, process),
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        owner = make_owner(serve_plan("slow", slow_plan()).public)
        key_id = put(http, owner)
        below = children(process.pid)
        assert len(below) == 3  # the fork server and two workers
        host, _, port = url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(raw_request(owner, key_id))
            wait_for_pending(http, 1)
            process.kill()
            wait_until(lambda: not any(alive(pid) for pid in below))
