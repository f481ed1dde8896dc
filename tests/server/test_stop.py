"""The end of a server: what runs may end, within a limit, and being stopped is no failure."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.command import save_secure_plan, server_process

SERVER = """
import sys, time
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from hetorch.server.refusal import Refusal
from hetorch.serving.errors import ServiceError
from hetorch.server.run import bind, leave_computations, run, stopped_by_signals
from hetorch.server.settings import Settings
from hetorch.serving.work.thread_pool import ThreadPool

pool = ThreadPool(1, {queue})

def compute(waited):
    print("begun", flush=True)
    time.sleep({seconds})

async def answer(request):
    try:
        await pool.run(compute, 600)
    except ServiceError as error:
        return Refusal(error.code, str(error)).response()
    return PlainTextResponse("done")

async def pending(request):
    return PlainTextResponse(str(pool.pending))

app = Starlette(routes=[Route("/", answer), Route("/pending", pending)])
app.state.stop_work = pool.close
with stopped_by_signals():
    run(app, bind("127.0.0.1", 0), Settings(shutdown_timeout={limit}), lambda address: print(address, flush=True))
leave_computations()
"""


def stopped_in_a_request(number: int, seconds: float, limit: float) -> tuple[int, str, list[str]]:
    """Stop a server while it computes for `seconds`; return its exit code, its stderr and the answers of its client."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER.format(seconds=seconds, limit=limit, queue=0)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url, answers = process.stdout.readline().strip(), []

    def ask() -> None:
        try:
            answers.append(httpx.get(url, timeout=60, trust_env=False).text)
        except httpx.HTTPError:
            answers.append("cut off")

    client = threading.Thread(target=ask)
    client.start()
    assert process.stdout.readline().strip() == "begun"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    client.join(60)
    return process.returncode, errors, answers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_is_answered(number: int) -> None:
    assert stopped_in_a_request(number, 1.5, 30) == (0, "", ["done"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_computation_beyond_the_limit_is_left(number: int) -> None:
    """600 s are beyond the time that communicate waits."""
    code, errors, answers = stopped_in_a_request(number, 600, 1)
    assert code == 0 and "Traceback" not in errors
    assert answers == ["cut off"] or "the server was stopped" in answers[0]


def test_waiting_requests_are_refused_at_once() -> None:
    """They are answered while the one that runs still does, and by the service itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER.format(seconds=5, limit=30, queue=3)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url, answers = process.stdout.readline().strip(), []

    def ask() -> None:
        answer = httpx.get(url, timeout=60, trust_env=False)
        answers.append((answer.status_code, "code" in answer.text and answer.json()["code"]))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    assert process.stdout.readline().strip() == "begun"
    while httpx.get(f"{url}/pending", trust_env=False).text != "4":
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    for client in clients:
        client.join(60)
    assert answers == [(503, "busy")] * 3 + [(200, False)]
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_with_0(number: int, tmp_path: Path) -> None:
    with server_process([save_secure_plan(tmp_path)], tmp_path) as (_, process):
        process.send_signal(number)
        assert process.wait(30) == 0
    assert not (tmp_path / "ready").exists()
    assert (tmp_path / "server.log").read_text() == ""


def test_stopped_before_it_listens(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hetorch.cli.main", "serve", str(save_secure_plan(tmp_path)), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.6)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
