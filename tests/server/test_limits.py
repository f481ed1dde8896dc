"""Bounded work: a full queue, a slow run, a small store, an unexpected failure."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from hetorch.errors import InputError, PlanError
from hetorch.server.app import insecure_app_beside_secrets
from hetorch.server.refusal import Refusal
from hetorch.server.settings import Settings
from hetorch.serving.models import ServedModel, model_name
from hetorch.wire.codes import Code
from hetorch.wire.limits import RETRY_AFTER_SECONDS
from tests.server.conftest import OCTETS, Owner
from tests.server.live import live
from tests.server.scrape import scrape
from tests.server.workers import broken, paused, wait_for_pending

PREDICT = "/v1/models/small/predict"
KEYS = "/v1/models/small/keys"


def put(http: httpx.Client, owner: Owner) -> str:
    result: str = http.put(KEYS, content=owner.keys, headers=OCTETS).json()["key_id"]
    return result


def predict(http: httpx.Client, owner: Owner, key_id: str) -> httpx.Response:
    return http.post(PREDICT, content=owner.request(key_id), headers=OCTETS | {"Hetorch-Key-Id": key_id})


def test_a_full_queue_answers_503_with_retry_after_and_recovers(served: ServedModel, owner: Owner) -> None:
    settings = Settings(workers=1, queue=1)
    with live({"small": served}, settings) as url, httpx.Client(base_url=url, trust_env=False) as http:
        key_id = put(http, owner)
        with ThreadPoolExecutor(2) as pool:
            with paused(http):
                first = pool.submit(predict, http, owner, key_id)
                wait_for_pending(http, 1)
                second = pool.submit(predict, http, owner, key_id)
                wait_for_pending(http, 2)
                refused = predict(http, owner, key_id)
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) in RETRY_AFTER_SECONDS
            assert "try again" in refused.json()["error"]
            assert (first.result().status_code, second.result().status_code) == (200, 200)
        assert predict(http, owner, key_id).status_code == 200
        metrics = scrape(http)
        assert (metrics("pending"), metrics("requests_total", code="busy"), metrics.failed) == (0, 1, 0)


def test_busy_answers_ask_for_different_pauses() -> None:
    """That 60 draws of 4 agree has the probability 4^-59."""
    pauses = {Refusal(Code.BUSY, "full").response().headers["retry-after"] for _ in range(60)}
    assert len(pauses) > 1 and {int(pause) for pause in pauses} <= set(RETRY_AFTER_SECONDS)


def test_a_slow_run_answers_504_and_the_server_goes_on(served: ServedModel, owner: Owner) -> None:
    settings = Settings(workers=1, queue=1, request_timeout=0.5)
    with live({"small": served}, settings) as url, httpx.Client(base_url=url, trust_env=False) as http:
        key_id = put(http, owner)
        with paused(http):
            answer = predict(http, owner, key_id)
        assert answer.status_code == 504
        assert re.search("longer than 0.5 s.* --request-timeout", answer.json()["error"])
        wait_for_pending(http, 0)
        assert predict(http, owner, key_id).status_code == 200


def test_an_unexpected_failure_shows_an_id_and_nothing_else(
    served: ServedModel, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    with live({"small": broken(served)}) as url, httpx.Client(base_url=url, trust_env=False) as http:
        key_id = put(http, owner)
        answer = predict(http, owner, key_id)
        assert answer.status_code == 500
        request_id = answer.json()["request_id"]
        assert request_id in answer.json()["error"]
        assert "KeyError" not in answer.text
        assert any(
            request_id in record.getMessage() and "KeyError" in record.getMessage()
            for record in caplog.records
        )
        assert http.get("/v1/health/live").status_code == 200
        assert scrape(http).failed == 1


def test_request_bodies_share_a_budget(served: ServedModel, owner: Owner) -> None:
    settings = Settings(body_memory=max(len(owner.keys), served.limits.largest))
    length = f"Content-Type: application/octet-stream\r\nContent-Length: {len(owner.keys)}"
    head = f"PUT {KEYS} HTTP/1.1\r\nHost: x\r\n{length}"
    with live({"small": served}, settings) as url, httpx.Client(base_url=url, trust_env=False) as http:
        host, _, port = url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port))) as other:
            other.sendall(f"{head}\r\n\r\n".encode() + owner.keys[:100])  # it holds all that there is
            deadline = time.monotonic() + 10
            while (answer := http.put(KEYS, content=owner.keys, headers=OCTETS)).status_code == 200:
                assert time.monotonic() < deadline
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) in RETRY_AFTER_SECONDS
        while http.put(KEYS, content=owner.keys, headers=OCTETS).status_code != 200:
            assert time.monotonic() < deadline


def test_lengths_that_are_declared_and_never_sent_hold_nothing(served: ServedModel, owner: Owner) -> None:
    settings = Settings(body_memory=max(len(owner.keys), served.limits.largest))
    length = f"Content-Type: application/octet-stream\r\nContent-Length: {len(owner.keys)}"
    head = f"PUT {KEYS} HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode()
    with (
        live({"small": served}, settings) as url,
        httpx.Client(base_url=url, trust_env=False) as http,
        contextlib.ExitStack() as stack,
    ):
        host, _, port = url.removeprefix("http://").rpartition(":")
        for _ in range(5):
            stack.enter_context(socket.create_connection((host, int(port)))).sendall(head)
        time.sleep(0.5)
        assert http.put(KEYS, content=owner.keys, headers=OCTETS).status_code == 200


def test_a_budget_too_small_for_one_body_is_refused_at_the_start(served: ServedModel, owner: Owner) -> None:
    # Such a server would answer 503, "try again", for ever.
    largest = max(len(owner.keys), served.limits.largest)
    insecure_app_beside_secrets({"small": served}, Settings(body_memory=largest))
    with pytest.raises(PlanError, match="raise body_memory="):
        insecure_app_beside_secrets({"small": served}, Settings(body_memory=largest - 1))


def test_a_client_that_stalls_is_answered_408(served: ServedModel) -> None:
    def stalling() -> object:
        yield b"x" * 10
        threading.Event().wait(1.5)
        yield b"y"

    with (
        live({"small": served}, Settings(idle_timeout=0.2)) as url,
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        answer = http.put(KEYS, content=stalling(), headers=OCTETS)  # type: ignore[arg-type]
        assert answer.status_code == 408
        assert "no byte" in answer.json()["error"]


def test_a_store_too_small_for_one_client_is_refused_at_the_start(served: ServedModel) -> None:
    with pytest.raises(PlanError, match="raise key_memory="):
        insecure_app_beside_secrets({"small": served}, Settings(key_memory=1000))


@pytest.mark.parametrize("change", [{"workers": 0}, {"queue": -1}, {"request_timeout": 0}, {"key_memory": 0}])
def test_settings_are_checked(change: dict[str, int]) -> None:
    with pytest.raises(InputError):
        Settings(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("folder", "name"), [("x/digits.hetorch", "digits"), ("my model.hetorch", "my-model"), ("a.b", "a.b")]
)
def test_models_are_named_by_their_folder(folder: str, name: str) -> None:
    assert model_name(Path(folder)) == name


def test_a_folder_without_letters_has_no_name() -> None:
    with pytest.raises(PlanError, match="rename"):
        model_name(Path("...hetorch"))
