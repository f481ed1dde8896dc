"""The answers of the service, request by request, over a real socket."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from hetorch.plan.public import PublicPlan
from hetorch.wire.predict import load_response
from hetorch.wire.server_timing import STEPS, load_server_timing
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.scrape import scrape
from tests.server.small_plan import expected

PREDICT = "/v1/models/small/predict"
KEYS = "/v1/models/small/keys"


def sentence(answer: httpx.Response, status: int) -> str:
    """Return the sentence of a refusal, checked to be JSON, one line and no traceback."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    text: str = answer.json()["error"]
    assert text
    assert "\n" not in text
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    return text


def still_serves(http: httpx.Client, owner: Owner, key_id: str) -> None:
    answer = http.post(PREDICT, content=owner.request(key_id), headers=OCTETS | {"Hetorch-Key-Id": key_id})
    assert answer.status_code == 200, answer.text


def test_health_models_and_public_plan(http: httpx.Client, owner: Owner) -> None:
    assert http.get("/v1/health/live").json() == {"status": "live"}
    assert http.get("/v1/health/ready").json() == {"status": "ready"}
    models = http.get("/v1/models").json()["models"]
    assert [m["name"] for m in models] == ["small", "other"]
    assert models[0]["fingerprint"] == owner.plan.fingerprint
    assert PublicPlan.from_bytes(http.get("/v1/models/small").content) == owner.plan


def test_a_prediction_is_right_and_timed(http: httpx.Client, owner: Owner, key_id: str) -> None:
    x = np.array([0.5, -0.25, 1, 0, -1, 0.125, 0.75, -0.5])
    request = owner.request(key_id, x.tolist())
    answer = http.post(PREDICT, content=request, headers=OCTETS | {"Hetorch-Key-Id": key_id})
    assert answer.status_code == 200
    response = load_response(owner.plan, answer.content, request)
    assert response.key_id == key_id
    result = owner.plan.unpack([owner.secret.decrypt(c) for c in response.ciphertexts])
    # Key switching and rescaling at N = 2^11 and scale 2^40 leave far more than 20 of 40 bits.
    assert np.abs(result - expected(x)).max() < 2.0**-20
    times = load_server_timing(answer.headers["server-timing"])
    assert tuple(times) == STEPS
    assert times["run"] > 0


def test_uploading_keys_twice_changes_nothing(http: httpx.Client, owner: Owner, key_id: str) -> None:
    assert key_id == hashlib.sha256(owner.keys).hexdigest()
    held = scrape(http)("keys_held")
    answer = http.put(KEYS, content=owner.keys, headers=OCTETS)
    assert answer.json() == {"key_id": key_id}
    assert scrape(http)("keys_held") == held
    assert http.get(f"{KEYS}/{key_id}").status_code == 200


def test_metrics_count(http: httpx.Client, owner: Owner, key_id: str) -> None:
    before = scrape(http)
    still_serves(http, owner, key_id)
    http.get("/v1/nothing")
    after = scrape(http)
    assert after("requests_total") == before("requests_total") + 3  # the metrics, the prediction, the refusal
    assert (
        after("requests_total", code="no_such_address")
        == before("requests_total", code="no_such_address") + 1
    )
    assert after.failed == before.failed
    for step in STEPS:
        count = after("step_seconds_count", model="small", step=step)
        assert count == before("step_seconds_count", model="small", step=step) + 1
    assert after("step_seconds_sum", step="run") > 0
    assert after("upload_seconds_count", endpoint="predict") >= 1
    assert after("peak_memory_bytes") > 10_000_000
    assert after("key_disk_bytes") > len(owner.keys)


def test_unknown_addresses_models_and_keys(http: httpx.Client, owner: Owner, key_id: str) -> None:
    assert "/v1/models" in sentence(http.get("/v2/other"), 404)
    assert "'nothing'" in sentence(http.get("/v1/models/nothing"), 404)
    assert "DELETE" in sentence(http.delete("/v1/models"), 405)
    unknown = "ab" * 32
    assert "upload" in sentence(http.get(f"{KEYS}/{unknown}"), 404)
    answer = http.post(PREDICT, content=owner.request(unknown), headers=OCTETS | {"Hetorch-Key-Id": unknown})
    assert "upload them again" in sentence(answer, 404)
    still_serves(http, owner, key_id)


@pytest.mark.parametrize("header", ["", "abc", "AB" * 32, "../../etc/passwd"])
def test_a_key_id_that_is_none(http: httpx.Client, owner: Owner, header: str) -> None:
    answer = http.post(PREDICT, content=owner.request("ab" * 32), headers=OCTETS | {"Hetorch-Key-Id": header})
    assert "64 hexadecimal digits" in sentence(answer, 400)


def test_keys_of_another_plan_do_not_count(http: httpx.Client, owner: Owner, key_id: str) -> None:
    """Both plans have the same parameters and spec, so keys fit both; a message names one, and the other refuses it."""
    answer = http.post(
        "/v1/models/other/predict", content=owner.request(key_id), headers=OCTETS | {"Hetorch-Key-Id": key_id}
    )
    assert "made with the plan of 'small'" in sentence(answer, 409)


def test_the_header_and_the_message_must_name_the_same_keys(
    http: httpx.Client, owner: Owner, key_id: str
) -> None:
    second = make_owner(owner.plan)
    other_id = http.put(KEYS, content=second.keys, headers=OCTETS).json()["key_id"]
    answer = http.post(PREDICT, content=owner.request(other_id), headers=OCTETS | {"Hetorch-Key-Id": key_id})
    assert "the message was made for" in sentence(answer, 409)


@pytest.mark.parametrize("content_type", [None, "", "application/json", "text/plain; charset=utf-8"])
def test_only_octet_streams(http: httpx.Client, owner: Owner, key_id: str, content_type: str | None) -> None:
    headers = {"Hetorch-Key-Id": key_id} | ({} if content_type is None else {"Content-Type": content_type})
    assert "octet-stream" in sentence(http.post(PREDICT, content=b"x" * 100, headers=headers), 415)
    assert "octet-stream" in sentence(http.put(KEYS, content=b"x" * 100, headers=headers), 415)


@pytest.mark.parametrize("cut", [0, 1, 75, 76, 1000, -1])
def test_truncated_bodies(http: httpx.Client, owner: Owner, key_id: str, cut: int) -> None:
    headers = OCTETS | {"Hetorch-Key-Id": key_id}
    assert "cut short" in sentence(
        http.post(PREDICT, content=owner.request(key_id)[:cut], headers=headers), 400
    )
    assert "cut short" in sentence(http.put(KEYS, content=owner.keys[:cut], headers=OCTETS), 400)
    still_serves(http, owner, key_id)


def test_oversized_bodies_declared_and_streamed(http: httpx.Client, owner: Owner, key_id: str) -> None:
    headers = OCTETS | {"Hetorch-Key-Id": key_id}
    huge = bytes(1 << 20)
    for chunks in (1, 8):
        content = huge * chunks
        assert "at most" in sentence(http.post(PREDICT, content=content, headers=headers), 413)
        assert "at most" in sentence(http.put(KEYS, content=content, headers=OCTETS), 413)
        streamed = (huge for _ in range(chunks))
        assert "at most" in sentence(http.post(PREDICT, content=streamed, headers=headers), 413)
    assert "there is more" in sentence(
        http.post(PREDICT, content=owner.request(key_id) + b"\0", headers=headers), 400
    )
    still_serves(http, owner, key_id)


def test_streamed_bodies_without_a_length_are_welcome(http: httpx.Client, owner: Owner, key_id: str) -> None:
    body = owner.request(key_id)
    pieces = (body[i : i + 1000] for i in range(0, len(body), 1000))
    answer = http.post(PREDICT, content=pieces, headers=OCTETS | {"Hetorch-Key-Id": key_id})
    assert answer.status_code == 200


def refused(answer: httpx.Response) -> None:
    """Check a refusal: 409 where the bit was in an id or a fingerprint, which then names another thing."""
    sentence(answer, 409 if answer.status_code == 409 else 400)


def test_flipped_bits_everywhere(http: httpx.Client, owner: Owner, key_id: str) -> None:
    numbers = np.random.default_rng(5)

    def flips(original: bytes) -> Iterator[bytes]:
        for position in (*range(0, 80, 7), *numbers.integers(0, len(original), 20)):
            broken = bytearray(original)
            broken[position] ^= 1 << int(numbers.integers(8))
            yield bytes(broken)

    for body in flips(owner.request(key_id)):
        refused(http.post(PREDICT, content=body, headers=OCTETS | {"Hetorch-Key-Id": key_id}))
    for body in flips(owner.keys):
        refused(http.put(KEYS, content=body, headers=OCTETS))
    still_serves(http, owner, key_id)


def test_noise_of_the_right_length(http: httpx.Client, owner: Owner, key_id: str) -> None:
    noise = np.random.default_rng(1).bytes(len(owner.keys))
    assert "begin with" in sentence(http.put(KEYS, content=noise, headers=OCTETS), 400)
    noise = noise[: len(owner.request(key_id))]
    answer = http.post(PREDICT, content=noise, headers=OCTETS | {"Hetorch-Key-Id": key_id})
    assert "no hetorch message" in sentence(answer, 400)
    still_serves(http, owner, key_id)


def test_a_body_that_stops_halfway(http: httpx.Client, owner: Owner, key_id: str) -> None:
    url = http.base_url
    body = owner.request(key_id)
    with socket.create_connection((url.host, url.port or 80)) as raw:
        head = (
            f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
            f"Hetorch-Key-Id: {key_id}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        raw.sendall(head.encode() + body[:500])
    still_serves(http, owner, key_id)
