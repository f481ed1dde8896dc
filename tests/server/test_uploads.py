"""Uploads in pieces over a real socket: they go on after anything that breaks off, and a server that is killed."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from hetorch.server import upload_endpoints
from hetorch.server.settings import Settings
from hetorch.server.tokens import issue, save_tokens
from hetorch.serving.keys import uploads
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.wire import addresses
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.small_plan import outsourced_plan, small_plan
from tests.server.test_weights import weights_for

PREDICT = addresses.predict("small")


def begin(
    http: httpx.Client, data: bytes, *, kind: str = "keys", model: str = "small", size: int | None = None
) -> httpx.Response:
    message = {
        "kind": kind,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data) if size is None else size,
    }
    return http.post(addresses.begin_upload(model), json=message)


def begun(http: httpx.Client, data: bytes, **more: str) -> tuple[str, int]:
    answer = begin(http, data, **more)  # type: ignore[arg-type]
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert answer.headers["location"] == addresses.upload(body["upload"])
    return body["upload"], body["offset"]


def patch(http: httpx.Client, upload: str, offset: int, data: bytes) -> httpx.Response:
    headers = OCTETS | {addresses.UPLOAD_OFFSET_HEADER: str(offset)}
    return http.patch(addresses.upload(upload), content=data, headers=headers)


def unfinished_patch(http: httpx.Client, upload: str, offset: int, data: bytes) -> socket.socket:
    """Begin to send the rest of an upload; return the connection on which its bytes are expected."""
    raw = socket.create_connection((http.base_url.host, http.base_url.port or 80))
    head = (
        f"PATCH {addresses.upload(upload)} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
        f"Upload-Offset: {offset}\r\nContent-Length: {len(data) - offset}\r\n\r\n"
    )
    raw.sendall(head.encode())
    return raw


def offset_of(http: httpx.Client, upload: str) -> int:
    answer = http.head(addresses.upload(upload))
    assert answer.status_code == 200
    return int(answer.headers[addresses.UPLOAD_OFFSET_HEADER])


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.fixture
def server(served: ServedModel, tmp_path: Path) -> Iterator[httpx.Client]:
    models = {"small": served, "hidden": serve_plan("hidden", outsourced_plan().without_weights())}
    with (
        live(models, Settings(key_folder=tmp_path / "keys", uploads_per_tenant=2)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as http,
    ):
        yield http


def works(http: httpx.Client, owner: Owner, key_id: str) -> bool:
    headers = OCTETS | {addresses.KEY_ID_HEADER: key_id}
    return http.post(PREDICT, content=owner.request(key_id), headers=headers).status_code == 200


def test_keys_come_in_pieces(server: httpx.Client, owner: Owner, tmp_path: Path) -> None:
    data = owner.keys
    upload, offset = begun(server, data)
    while offset < len(data):
        answer = patch(server, upload, offset, data[offset : offset + 100_000])
        offset += 100_000
        if offset < len(data):
            assert answer.status_code == 204 and answer.headers["upload-offset"] == str(offset)
            assert begun(server, data) == (upload, offset)  # the same content finds its upload
    key_id = hashlib.sha256(data).hexdigest()
    assert answer.status_code == 200 and answer.json() == {"key_id": key_id}
    assert works(server, owner, key_id)
    refused(server.get(addresses.upload(upload)), 404, "upload_unknown")
    assert not list((tmp_path / "keys" / "parts").iterdir())


def test_weights_come_in_pieces(server: httpx.Client) -> None:
    owner = make_owner(outsourced_plan().public())
    key_id = hashlib.sha256(owner.keys).hexdigest()
    data = weights_for(owner, key_id)
    upload, _ = begun(server, data, kind="weights", model="hidden")
    assert patch(server, upload, 0, data[:1000]).status_code == 204
    assert patch(server, upload, 1000, data[1000:]).json() == {"key_id": key_id}
    assert server.get(addresses.stored_weights("hidden", key_id)).status_code == 200
    refused(begin(server, data, kind="weights"), 409, "weights_in_clear")


def test_the_offset_must_be_that_of_the_server(server: httpx.Client, owner: Owner) -> None:
    upload, _ = begun(server, owner.keys)
    assert patch(server, upload, 0, owner.keys[:5000]).status_code == 204
    for offset in (0, 4999, 5001, len(owner.keys) + 1):
        answer = patch(server, upload, offset, b"x")
        refused(answer, 409, "upload_offset")
        assert answer.headers["upload-offset"] == "5000"
    for text in ("", "-1", "0x10", "1" * 30):
        headers = OCTETS | {addresses.UPLOAD_OFFSET_HEADER: text}
        refused(
            server.patch(addresses.upload(upload), content=b"x", headers=headers), 400, "message_malformed"
        )
    refused(patch(server, upload, 5000, owner.keys), 413, "body_too_large")
    assert offset_of(server, upload) == 5000


def test_what_came_before_the_connection_broke_is_kept(
    server: httpx.Client, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_endpoints, "PIECE_BYTES", 1000)
    upload, _ = begun(server, owner.keys)
    with unfinished_patch(server, upload, 0, owner.keys) as raw:
        raw.sendall(owner.keys[:30_000])
        deadline = time.monotonic() + 20
        while offset_of(server, upload) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    offset = offset_of(server, upload)
    answer = patch(server, upload, offset, owner.keys[offset:])
    if answer.status_code == 409:  # more of the first connection was written in between
        offset = int(answer.headers["upload-offset"])
        answer = patch(server, upload, offset, owner.keys[offset:])
    assert offset <= 30_000 and answer.status_code == 200 and works(server, owner, answer.json()["key_id"])


def test_a_client_that_connects_again_takes_its_upload_over(server: httpx.Client, owner: Owner) -> None:
    """The old connection is open, and may still send: its bytes are not taken any more."""
    upload, _ = begun(server, owner.keys)
    with unfinished_patch(server, upload, 0, owner.keys) as raw:
        time.sleep(0.2)
        answer = patch(server, upload, 0, owner.keys[:1000])
        assert answer.status_code == 204
        raw.sendall(bytes(len(owner.keys)))
        raw.settimeout(20)
        answer_bytes = b""
        while b"upload_offset" not in answer_bytes:  # the head and the body may come one after the other
            piece = raw.recv(1 << 16)
            assert piece, f"the connection was closed after {answer_bytes!r}"
            answer_bytes += piece
    assert offset_of(server, upload) == 1000
    assert patch(server, upload, 1000, owner.keys[1000:]).status_code == 200


def test_other_bytes_than_were_told_are_refused(server: httpx.Client, owner: Owner, tmp_path: Path) -> None:
    for data, told in ((bytes(len(owner.keys)), owner.keys), (bytes(len(owner.keys)),) * 2):
        upload, _ = begun(server, told)
        refused(patch(server, upload, 0, data), 400, "message_malformed")
        refused(server.get(addresses.upload(upload)), 404, "upload_unknown")
    assert not list((tmp_path / "keys" / "parts").iterdir()) and not list(
        (tmp_path / "keys" / "stored").iterdir()
    )


def test_a_malformed_key_is_told_with_its_name_when_it_has_come(
    server: httpx.Client, owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_endpoints, "PIECE_BYTES", 1000)
    wrong = bytearray(owner.keys)
    wrong[200:2200] = b"\xff" * 2000
    for end in (len(wrong) // 2, len(wrong)):  # also while the client still sends
        upload, _ = begun(server, bytes(wrong))
        answer = patch(server, upload, 0, bytes(wrong[:end]))
        refused(answer, 400, "message_malformed")
        assert re.match(r"key 1 of \d+ \(.+, level \d+\) is malformed", answer.json()["error"])
        refused(server.get(addresses.upload(upload)), 404, "upload_unknown")
        assert not list((tmp_path / "keys" / "stored").iterdir())


def test_lengths_are_checked_before_anything_is_taken(server: httpx.Client, owner: Owner) -> None:
    for size in (0, 1, len(owner.keys) - 1, len(owner.keys) + 1, 1 << 60, -1):
        refused(begin(server, owner.keys, size=size), 400, "message_malformed")
    for body in (b"", b"[]", b"{}", b"[" * 4000, json.dumps({"kind": "keys"}).encode()):
        answer = server.post(addresses.begin_upload("small"), content=body)
        assert answer.status_code == 400
    refused(server.post(addresses.begin_upload("small"), content=bytes(5000)), 413, "body_too_large")


def test_uploads_under_way_have_a_limit(
    server: httpx.Client, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = begun(server, b"1".ljust(len(owner.keys)))
    second, _ = begun(server, b"2".ljust(len(owner.keys)))
    refused(begin(server, owner.keys), 503, "busy")
    assert server.delete(addresses.upload(first)).status_code == 204
    third, _ = begun(server, owner.keys)
    monkeypatch.setattr(uploads, "IDLE_SECONDS", 0.0)
    begun(server, b"4".ljust(len(owner.keys)))  # the one that has waited longest gives way
    refused(server.get(addresses.upload(second)), 404, "upload_unknown")
    assert offset_of(server, third) == 0


def test_tenants_have_their_own_uploads_and_keys(served: ServedModel, owner: Owner, tmp_path: Path) -> None:
    """The answers to one tenant are the same whatever another one uploads."""
    texts, tokens = zip(
        *(issue(name, name, models) for name, models in (("a", None), ("b", None), ("c", ["other"]))),
        strict=True,
    )
    save_tokens(tmp_path / "tokens", list(tokens))
    models = {"small": served, "other": serve_plan("other", small_plan(seed=1))}
    quota = 2 * served.key_kind.file_bytes(0)
    settings = Settings(tokens=tmp_path / "tokens", key_folder=tmp_path / "keys", key_quota=quota)
    with live(models, settings) as url:
        a, b, c = (
            httpx.Client(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {text}"})
            for text in texts
        )
        with a, b, c:
            upload, _ = begun(a, owner.keys)
            assert patch(a, upload, 0, owner.keys[:1000]).status_code == 204
            for other in (b, c):
                refused(other.get(addresses.upload(upload)), 404, "upload_unknown")
                refused(patch(other, upload, 1000, b"x"), 404, "upload_unknown")
                refused(other.delete(addresses.upload(upload)), 404, "upload_unknown")
            mine, offset = begun(b, owner.keys)
            assert mine != upload and offset == 0
            key_id = patch(a, upload, 1000, owner.keys[1000:]).json()["key_id"]
            refused(b.get(addresses.stored_keys("small", key_id)), 404, "keys_missing")
            refused(b.delete(addresses.stored_keys("small", key_id)), 404, "keys_missing")
            (listed,) = a.get(addresses.keys("small")).json()["keys"]
            assert listed["key_id"] == key_id and listed["bytes"] == served.key_kind.file_bytes(0)
            assert b.get(addresses.keys("small")).json() == {"keys": []}
            refused(c.get(addresses.keys("small")), 403, "forbidden")
            refused(begin(c, owner.keys), 403, "forbidden")
            assert a.delete(addresses.stored_keys("small", key_id)).status_code == 204
            refused(a.get(addresses.stored_keys("small", key_id)), 404, "keys_missing")
            for number in range(quota // len(owner.keys)):
                begun(a, str(number).encode().ljust(len(owner.keys)))
            refused(begin(a, owner.keys), 403, "quota_exceeded")


def test_without_tokens_nobody_lists_keys(server: httpx.Client) -> None:
    refused(server.get(addresses.keys("small")), 403, "forbidden")


SERVER = """
import sys
from pathlib import Path
from hetorch.server.app import create_app
from hetorch.server.run import bind, run
from hetorch.server import upload_endpoints
from hetorch.server.settings import Settings
from hetorch.serving.models import serve_plan
from tests.server.small_plan import small_plan

app = create_app({"small": serve_plan("small", small_plan())}, Settings(key_folder=Path(sys.argv[1])))
run(app, bind("127.0.0.1", 0), Settings(), lambda address: print(address, flush=True))
"""


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert process.stdout is not None
    process.stdout.close()


def test_an_upload_goes_on_after_the_server_was_killed(owner: Owner, tmp_path: Path) -> None:
    """Nothing that was answered for is lost: neither the first half, nor the keys of the first upload."""
    other = replace(owner, keys=make_owner(owner.plan).keys)
    process, url = start(tmp_path)
    half = len(owner.keys) // 2
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        stored = http.put(addresses.keys("small"), content=other.keys, headers=OCTETS).json()["key_id"]
        upload, _ = begun(http, owner.keys)
        assert patch(http, upload, 0, owner.keys[:half]).status_code == 204
        with unfinished_patch(http, upload, half, owner.keys) as raw:
            raw.sendall(owner.keys[half : half + 1000])  # the server dies in the middle of it
            kill(process)
    (tmp_path / "stored" / ".new-0123").write_bytes(b"the rest of a killed process")
    process, url = start(tmp_path)
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
            assert http.get(addresses.stored_keys("small", stored)).status_code == 200
            again, offset = begun(http, owner.keys)
            assert again == upload and half <= offset <= half + 1000
            answer = patch(http, upload, offset, owner.keys[offset:])
            assert answer.status_code == 200 and works(http, owner, answer.json()["key_id"])
        assert len(list((tmp_path / "stored").iterdir())) == 2 and not list((tmp_path / "parts").iterdir())
    finally:
        kill(process)
