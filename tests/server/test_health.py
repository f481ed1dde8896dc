"""Alive is another thing than ready: a full queue, stuck workers and a stopping server are told by readiness alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from hetorch.server.app import insecure_app_beside_secrets
from hetorch.server.settings import Settings
from hetorch.server.tokens import save_tokens
from hetorch.serving.models import ServedModel
from hetorch.wire.status import load_status
from tests.server.conftest import OCTETS, Owner
from tests.server.live import live
from tests.server.workers import paused, wait_for_pending, wait_until


def test_a_full_queue_is_not_ready_and_lives(served: ServedModel, owner: Owner) -> None:
    settings = Settings(workers=1, queue=0)
    with (
        live({"small": served}, settings) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as http,
        ThreadPoolExecutor(1) as pool,
    ):
        key_id = http.put("/v1/models/small/keys", content=owner.keys, headers=OCTETS).json()["key_id"]
        assert http.get("/v1/health/ready").json() == {"status": "ready"}
        headers = OCTETS | {"Hetorch-Key-Id": key_id}
        with paused(http):
            running = pool.submit(
                http.post, "/v1/models/small/predict", content=owner.request(key_id), headers=headers
            )
            wait_for_pending(http, 1)
            answer = http.get("/v1/health/ready")
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
            assert answer.json()["error"] == "the queue is full" and "retry-after" in answer.headers
            assert http.get("/v1/health/live").json() == {"status": "live"}
            status = load_status(http.get("/v1/status").content)
            assert status.not_ready == ("the queue is full",)
            assert [worker.model for worker in status.workers] == ["small"]
        assert running.result().status_code == 200
        assert http.get("/v1/health/ready").status_code == 200


def test_a_worker_beyond_its_time_is_not_ready_until_it_ends(served: ServedModel, owner: Owner) -> None:
    settings = Settings(workers=1, queue=4, request_timeout=0.5)
    with (
        live({"small": served}, settings) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as http,
    ):
        key_id = http.put("/v1/models/small/keys", content=owner.keys, headers=OCTETS).json()["key_id"]
        headers = OCTETS | {"Hetorch-Key-Id": key_id}
        with paused(http):
            answer = http.post("/v1/models/small/predict", content=owner.request(key_id), headers=headers)
            assert answer.status_code == 504
            ready = http.get("/v1/health/ready")
            assert ready.status_code == 503 and "beyond their time" in ready.json()["error"]
        wait_until(lambda: http.get("/v1/health/ready").status_code == 200)


def test_a_stopping_service_is_not_ready(served: ServedModel) -> None:
    app = insecure_app_beside_secrets({"small": served})
    app.state.stop_work()

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
            return await http.get("/v1/health/ready")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["error"]) == (503, "the server is stopping")


@pytest.mark.parametrize("ask", [httpx.Client.get, httpx.Client.head])
def test_health_needs_no_token_and_names_no_model(
    served: ServedModel, tmp_path: Path, ask: Callable[[httpx.Client, str], httpx.Response]
) -> None:
    path = tmp_path / "tokens.json"
    save_tokens(path, [])
    with (
        live({"secretname": served}, Settings(tokens=path)) as url,
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        for address in ("/v1/health/live", "/v1/health/ready"):
            answer = ask(http, address)
            assert answer.status_code == 200 and "secretname" not in answer.text
        assert ask(http, "/v1/status").status_code == 401
        assert ask(http, "/metrics").status_code == 401
