"""Alive is another thing than ready: a full queue, stuck workers and a stopping server are told by readiness alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from hetorch.server.settings import Settings
from hetorch.server.tokens import save_tokens
from hetorch.serving.errors import DeadlinePassed
from hetorch.serving.models import ServedModel
from hetorch.serving.work.worker_pool import WorkerPool
from tests.server.conftest import OCTETS, Owner
from tests.server.live import live
from tests.server.test_limits import GatedModel, variant


def test_a_full_queue_is_not_ready_and_lives(served: ServedModel, owner: Owner) -> None:
    GatedModel.gate.clear()
    settings = Settings(workers=1, queue=0)
    with (
        live({"small": variant(GatedModel, served)}, settings) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as http,
        ThreadPoolExecutor(1) as pool,
    ):
        key_id = http.put("/v1/models/small/keys", content=owner.keys, headers=OCTETS).json()["key_id"]
        assert http.get("/v1/health/ready").json() == {"status": "ready"}
        headers = OCTETS | {"Hetorch-Key-Id": key_id}
        running = pool.submit(
            http.post, "/v1/models/small/predict", content=owner.request(key_id), headers=headers
        )
        assert GatedModel.started.acquire(timeout=20)
        try:
            answer = http.get("/v1/health/ready")
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
            assert answer.json()["error"] == "the queue is full" and "retry-after" in answer.headers
            assert http.get("/v1/health/live").json() == {"status": "live"}
            assert "the queue is full" in http.get("/v1/status").json()["not_ready"]
        finally:
            GatedModel.gate.set()
        assert running.result().status_code == 200
        assert http.get("/v1/health/ready").status_code == 200


def test_workers_beyond_their_time_are_not_ready_until_one_ends() -> None:
    gate = threading.Event()

    async def run() -> None:
        pool = WorkerPool(1, 4)
        with pytest.raises(DeadlinePassed):
            await pool.run(lambda waited: gate.wait(30), 0.05)
        assert pool.not_ready() == ["all workers compute beyond their time"]
        gate.set()
        assert await pool.run(lambda waited: True, 20)
        assert pool.not_ready() == []
        pool.close()
        assert pool.not_ready() == ["the server is stopping"]

    asyncio.run(run())


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
