"""Mutated bodies and heads, thousands for each address that takes a body: each is refused, or served if it is still
valid; the server never fails, and its memory stays bounded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput

from hetorch.model_owner.encrypt import weights_message
from hetorch.wire import addresses
from hetorch.wire.open_inference import HEADER_LENGTH_HEADER
from tests.cli.command import server_process
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.process_memory import resident
from tests.server.small_plan import outsourced_plan, small_plan

JSON = {"Content-Type": addresses.JSON}
SHORT, LONG = 150, 10_000
"""Mutants of each address in a short run and in a long one."""
MEMORY = 64 << 20
"""Bytes by which the server's memory may grow between WARM and all mutants: allocators keep some."""
WARM = 50


@dataclass(frozen=True, slots=True)
class Target:
    """A server process, and a valid request for each address that takes a body: path, headers and body."""

    url: str
    pid: int
    requests: dict[str, tuple[str, str, dict[str, str], bytes]]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("mutations")
    clear, outsourced = small_plan(), outsourced_plan()
    clear.save(folder / "clear.hetorch")
    outsourced.without_weights().save(folder / "outsourced.hetorch")
    plans = [folder / "clear.hetorch", folder / "outsourced.hetorch"]
    owner, other = make_owner(clear.public()), make_owner(outsourced.public())
    with server_process(plans, folder) as (url, process), httpx.Client(base_url=url, trust_env=False) as http:
        key_id = put(http, "clear", owner)
        other_id = put(http, "outsourced", other)
        weights = weights_of(other, other_id)
        tensor = InferInput("request", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([owner.request(key_id)], dtype=object))
        infer, length = InferenceServerClient.generate_request_body([tensor])
        predict = OCTETS | {addresses.KEY_ID_HEADER: key_id}
        requests = {
            "keys": ("PUT", addresses.keys("clear"), OCTETS, owner.keys),
            "weights": ("PUT", addresses.weights("outsourced"), OCTETS, weights),
            "uploads": ("POST", addresses.begin_upload("clear"), JSON, begin_upload(owner.keys)),
            "predict": ("POST", addresses.predict("clear"), predict, owner.request(key_id)),
            "infer": ("POST", "/v2/models/clear/infer", {HEADER_LENGTH_HEADER: str(length)}, infer),
        }
        for method, path, headers, body in requests.values():  # the controls
            assert http.request(method, path, headers=headers, content=body).is_success, path
        yield Target(url, process.pid, requests)
        assert process.poll() is None


def put(http: httpx.Client, model: str, owner: Owner) -> str:
    answer = http.put(addresses.keys(model), content=owner.keys, headers=OCTETS)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["key_id"])


def mutate(body: bytes, numbers: np.random.Generator) -> bytes:
    """Return the body with one to four changes: bits, bytes, runs, lengths, pieces lost or repeated."""
    changed = bytearray(body)
    for _ in range(int(numbers.integers(1, 5))):
        size = len(changed)
        if not size:
            break
        # Half of the changes hit the first bytes, where the lengths and kinds stand.
        begin = int(numbers.integers(0, min(size, 256) if numbers.random() < 0.5 else size))
        end = min(size, begin + int(numbers.integers(1, 33)))
        match int(numbers.integers(0, 7)):
            case 0:
                changed[begin] ^= 1 << int(numbers.integers(0, 8))
            case 1:
                changed[begin:end] = numbers.bytes(end - begin)
            case 2:
                changed[begin:end] = bytes([int(numbers.choice([0, 127, 128, 255]))]) * (end - begin)
            case 3:
                del changed[begin:end]
            case 4:
                changed[begin:begin] = changed[begin:end]
            case 5:
                del changed[begin:]
            case 6:
                other = int(numbers.integers(0, size))
                changed[begin:end] = changed[other : other + end - begin]
    return bytes(changed)


def send_mutants(target: Target, name: str, count: int) -> Counter[str]:
    """Send mutants of one request; return how many answers had each status and code."""
    method, path, headers, body = target.requests[name]
    numbers = np.random.default_rng(len(name) + count)
    outcomes: Counter[str] = Counter()
    before = 0
    with httpx.Client(base_url=target.url, trust_env=False, timeout=60) as http:
        for index in range(count):
            answer = http.request(method, path, headers=headers, content=mutate(body, numbers))
            code = "" if answer.is_success else answer.json()["code"]
            outcomes[f"{answer.status_code} {code}"] += 1
            if index == WARM:
                before = resident(target.pid)
    assert resident(target.pid) - before < MEMORY
    return outcomes


def check(outcomes: Counter[str]) -> None:
    assert all(text[0] in "24" or text == "503 busy" for text in outcomes), outcomes
    assert any(text.startswith("400 ") for text in outcomes), outcomes


NAMES = ["keys", "weights", "uploads", "predict", "infer"]


@pytest.mark.fuzz
@pytest.mark.parametrize("name", NAMES)
def test_mutated_bodies(target: Target, name: str) -> None:
    check(send_mutants(target, name, SHORT))


@pytest.mark.fuzz
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_very_many_mutated_bodies(target: Target, name: str) -> None:
    check(send_mutants(target, name, LONG))


def exchange(url: str, data: bytes) -> bytes:
    """Send bytes and end; return all that comes."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    received = b""
    with socket.create_connection((host, int(port)), 30) as connection, contextlib.suppress(OSError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(1 << 16):
            received += piece
    return received


@pytest.mark.fuzz
@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)], ids=["short", "long"])
def test_mutated_heads(target: Target, count: int) -> None:
    """What is no HTTP is refused or left without an answer, and what still is HTTP is answered."""
    heads = [
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /v1/health/live HTTP/1.0\r\n\r\n",
        b"PUT /v1/models/clear/keys HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        b"POST /v1/models/clear/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n"
        b"Hetorch-Key-Id: " + b"ab" * 32 + b"\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nabcd",
    ]
    numbers = np.random.default_rng(count)
    statuses: Counter[bytes] = Counter()
    for index in range(count):
        answer = exchange(target.url, mutate(heads[index % len(heads)], numbers))
        for line in answer.split(b"HTTP/1.1 ")[1:]:
            statuses[line[:3]] += 1
    assert all(status[:1] in b"124" or status == b"503" for status in statuses), statuses
    assert statuses[b"400"] > 0 and statuses[b"200"] > 0
    assert httpx.get(f"{target.url}{addresses.LIVE}", trust_env=False).status_code == 200


def begin_upload(keys: bytes) -> bytes:
    """Return the body that begins an upload in pieces."""
    digest = hashlib.sha256(keys).hexdigest()
    return json.dumps({"kind": "keys", "sha256": digest, "bytes": len(keys)}).encode()


def weights_of(owner: Owner, key_id: str) -> bytes:
    """Return encrypted weights of the outsourced plan for an owner's keys."""
    return b"".join(weights_message(outsourced_plan(), owner.secret, key_id))
