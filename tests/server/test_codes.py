"""Every code of the service is the answer to some request, with its status; the documentation has all of them."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Scope

from hetorch.server.app import insecure_app_beside_secrets
from hetorch.server.settings import Settings
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.wire import addresses
from hetorch.wire.codes import Code
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.small_plan import outsourced_plan
from tests.server.workers import broken, paused, wait_for_pending

UNKNOWN = "ab" * 32
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "service.md"


@dataclass(frozen=True, slots=True)
class Situation:
    """A server of three models, "small", "hidden" (on encrypted weights) and "broken", and a client with its keys."""

    http: httpx.Client
    owner: Owner
    key_id: str

    def predict(
        self, model: str = "small", *, key_id: str | None = None, body: bytes | None = None
    ) -> httpx.Response:
        """Send a predict request, a good one unless something else is given."""
        named = self.key_id if key_id is None else key_id
        content = self.owner.request(self.key_id) if body is None else body
        headers = OCTETS | {addresses.KEY_ID_HEADER: named}
        return self.http.post(addresses.predict(model), content=content, headers=headers)


@pytest.fixture(scope="module")
def models(served: ServedModel) -> dict[str, ServedModel]:
    hidden = serve_plan("hidden", outsourced_plan().without_weights())
    return {"small": served, "hidden": hidden, "broken": broken(served)}


@pytest.fixture(scope="module")
def situation(models: dict[str, ServedModel], owner: Owner) -> Iterator[Situation]:
    settings = Settings(idle_timeout=0.5)
    with live(models, settings) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        for model in ("small", "broken"):
            http.put(addresses.keys(model), content=owner.keys, headers=OCTETS).raise_for_status()
        yield Situation(http, owner, hashlib.sha256(owner.keys).hexdigest())


def stalling() -> Iterator[bytes]:
    yield b"x" * 10
    threading.Event().wait(2)
    yield b"y"


REQUESTS: dict[Code, list[Callable[[Situation], httpx.Response]]] = {
    Code.NO_SUCH_ADDRESS: [lambda s: s.http.get("/v2/models"), lambda s: s.http.get("/")],
    Code.REQUEST_AMBIGUOUS: [
        lambda s: s.http.get("/v1/models%2Fsmall"),
        lambda s: s.http.get(
            "/v1/models", headers=[("Hetorch-Key-Id", UNKNOWN), ("hetorch-key-id", s.key_id)]
        ),
    ],
    Code.METHOD_NOT_ALLOWED: [
        lambda s: s.http.delete(addresses.MODELS),
        lambda s: s.http.get(addresses.predict("small")),
    ],
    Code.MODEL_UNKNOWN: [
        lambda s: s.http.get(addresses.public_plan("none")),
        lambda s: s.http.get(addresses.stored_keys("none", UNKNOWN)),
        lambda s: s.predict("none"),
    ],
    Code.KEY_ID_MALFORMED: [
        lambda s: s.predict(key_id="abc"),
        lambda s: s.http.get(addresses.stored_keys("small", "AB" * 32)),
        lambda s: s.http.get(addresses.stored_weights("hidden", "abc")),
    ],
    Code.KEYS_MISSING: [
        lambda s: s.predict(key_id=UNKNOWN),
        lambda s: s.http.get(addresses.stored_keys("small", UNKNOWN)),
    ],
    Code.WEIGHTS_IN_CLEAR: [
        lambda s: s.http.put(addresses.weights("small"), content=b"x", headers=OCTETS),
        lambda s: s.http.get(addresses.stored_weights("small", UNKNOWN)),
    ],
    Code.UPLOAD_UNKNOWN: [
        lambda s: s.http.get(addresses.upload("ab" * 16)),
        lambda s: s.http.delete(addresses.upload("no id")),
        lambda s: s.http.patch(addresses.upload("ab" * 16), content=b"x", headers=OCTETS),
    ],
    Code.CONTENT_TYPE_UNSUPPORTED: [
        lambda s: s.http.put(addresses.keys("small"), content=b"x"),
        lambda s: s.http.put(addresses.weights("hidden"), json={}),
    ],
    Code.BODY_TOO_LARGE: [
        lambda s: s.predict(body=bytes(8 << 20)),
        lambda s: s.http.put(
            addresses.keys("small"), content=(bytes(1 << 20) for _ in range(8)), headers=OCTETS
        ),
    ],
    Code.BODY_TOO_SHORT: [
        lambda s: s.predict(body=b"short"),
        lambda s: s.http.put(addresses.keys("small"), content=iter([s.owner.keys[:-1]]), headers=OCTETS),
    ],
    Code.BODY_TOO_SLOW: [lambda s: s.http.put(addresses.keys("small"), content=stalling(), headers=OCTETS)],
    Code.MESSAGE_MALFORMED: [
        lambda s: s.predict(body=bytes(len(s.owner.request(s.key_id)))),
        lambda s: s.http.put(addresses.keys("small"), content=bytes(len(s.owner.keys)), headers=OCTETS),
        lambda s: s.http.post(addresses.begin_upload("small"), content=b"no JSON"),
        lambda s: s.http.post(addresses.begin_upload("small"), json={"kind": "keys", "sha256": UNKNOWN}),
    ],
    Code.OTHER_KEYS: [lambda s: s.predict(body=s.owner.request(UNKNOWN))],
    Code.INTERNAL: [lambda s: s.predict("broken")],
}
"""Requests that end in a code, where one request is enough; the others have their own tests."""

ELSEWHERE = {
    Code.UNAUTHORISED,  # test_access.py
    Code.FORBIDDEN,  # test_access.py
    Code.UPLOAD_OFFSET,  # test_uploads.py
    Code.QUOTA_EXCEEDED,  # test_uploads.py
    Code.NOT_READY,  # test_health.py
    Code.WEIGHTS_MISSING,
    Code.CONTENT_LENGTH_MALFORMED,
    Code.BODY_INCOMPLETE,
    Code.RATE_EXCEEDED,  # test_tenants.py
    Code.OTHER_TENANT,  # test_mixups.py
    Code.OTHER_MODEL,  # test_mixups.py
    Code.OTHER_VERSION,  # test_mixups.py
    Code.OTHER_PARAMETERS,  # test_mixups.py
    Code.BUSY,
    Code.TIMEOUT,
    Code.WORKER_LOST,  # test_workers.py
    Code.JOB_UNKNOWN,  # test_jobs.py
    Code.JOB_UNFINISHED,  # test_jobs.py
}


def check(answer: httpx.Response, code: Code, status: int | None = None) -> None:
    assert answer.status_code == (status or code.status), answer.text
    body = answer.json()
    assert body["code"] == code.value
    assert body["error"] and "\n" not in body["error"]
    assert body.keys() == {"error", "code"} | ({"request_id"} if code is Code.INTERNAL else set())
    assert ("retry-after" in answer.headers) == (code is Code.BUSY)


def test_every_code_is_tested_here() -> None:
    assert REQUESTS.keys() | ELSEWHERE == set(Code)
    assert not REQUESTS.keys() & ELSEWHERE


@pytest.mark.parametrize("code", REQUESTS, ids=str)
def test_a_request_ends_in_its_code(situation: Situation, code: Code) -> None:
    for request in REQUESTS[code]:
        check(request(situation), code)
    assert situation.predict().status_code == 200  # the server goes on


def test_missing_weights_are_told_by_one_code(situation: Situation, models: dict[str, ServedModel]) -> None:
    """A GET asks for a thing that is not there (404); a prediction conflicts with the state of the server (409)."""
    owner = make_owner(models["hidden"].public)
    key_id = situation.http.put(addresses.keys("hidden"), content=owner.keys, headers=OCTETS).json()["key_id"]
    where = addresses.stored_weights("hidden", key_id)
    check(situation.http.get(where), Code.WEIGHTS_MISSING, 404)
    other = Situation(situation.http, owner, key_id)
    check(other.predict("hidden"), Code.WEIGHTS_MISSING, 409)


def test_a_full_server_is_busy_and_a_slow_one_out_of_time(served: ServedModel, owner: Owner) -> None:
    settings = Settings(workers=1, queue=0, request_timeout=2.0)
    with (
        live({"small": served}, settings) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as http,
        ThreadPoolExecutor(1) as pool,
    ):
        key_id = http.put(addresses.keys("small"), content=owner.keys, headers=OCTETS).json()["key_id"]
        client = Situation(http, owner, key_id)
        with paused(http):
            slow = pool.submit(client.predict)
            wait_for_pending(http, 1)
            check(client.predict(), Code.BUSY)
            check(slow.result(), Code.TIMEOUT)


def ask(
    models: dict[str, ServedModel], headers: list[tuple[bytes, bytes]], messages: list[Message]
) -> httpx.Response:
    """Upload keys by ASGI itself: headers and bodies as no HTTP library sends them."""
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    path = addresses.keys("small")
    scope: Scope = {
        "type": "http",
        "method": "PUT",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", addresses.OCTETS.encode()), *headers],
    }
    asyncio.run(insecure_app_beside_secrets(models)(scope, receive, send))
    content = b"".join(message.get("body", b"") for message in sent)
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=content)


@pytest.mark.parametrize("length", ["ten", "-1", "1" * 40, "\xb2"])
def test_a_length_that_is_no_number(models: dict[str, ServedModel], length: str) -> None:
    body: Message = {"type": "http.request", "body": b"", "more_body": False}
    headers = [(b"content-length", length.encode("latin-1", "replace"))]
    check(ask(models, headers, [body]), Code.CONTENT_LENGTH_MALFORMED)


def test_a_connection_that_closes_inside_the_body(models: dict[str, ServedModel]) -> None:
    begin: Message = {"type": "http.request", "body": b"x", "more_body": True}
    check(ask(models, [], [begin, {"type": "http.disconnect"}]), Code.BODY_INCOMPLETE)


def test_the_documentation_lists_every_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|$", DOCUMENTATION.read_text(), re.MULTILINE)
    assert [(word, int(status), meaning) for word, status, meaning in rows] == [
        (code.value, code.status, code.meaning) for code in Code
    ]
