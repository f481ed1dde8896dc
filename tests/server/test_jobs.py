"""Jobs over HTTP: asked for, followed, fetched, acknowledged, cancelled, and found after the server was killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from hetorch.server.settings import Settings
from hetorch.server.tokens import issue, save_tokens
from hetorch.serving.jobs import jobs
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.wire.jobs import JOB_ID, JobState, load_job
from tests.cli.command import server_process
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.scrape import scrape
from tests.server.slow_plan import ROTATIONS, SLOW, slow_plan
from tests.server.small_plan import expected
from tests.server.workers import paused, wait_for_pending, wait_until
from tests.serving.library import X, decrypted

ERROR = 1e-4
"""Bound of the error of a result of the small plan: 8 products at scale 2^40, with noise far below 2^20 of it."""


@pytest.fixture(scope="module")
def http(slow: ServedModel, served: ServedModel) -> Iterator[httpx.Client]:
    models = {"slow": slow, "small": served}
    with (
        live(models, Settings(workers=2, jobs_per_tenant=3)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):
        yield client


def ask(
    http: httpx.Client, owner: Owner, model: str, prefer: str = "respond-async", **headers: str
) -> tuple[httpx.Response, bytes]:
    """Upload keys and send a predict request; return its answer and the request."""
    key_id = http.put(f"/v1/models/{model}/keys", content=owner.keys, headers=OCTETS | headers).json()[
        "key_id"
    ]
    request = owner.request(key_id, X.tolist())
    sent = OCTETS | {"Hetorch-Key-Id": key_id, "Prefer": prefer} | headers
    return http.post(f"/v1/models/{model}/predict", content=request, headers=sent), request


def check_result(http: httpx.Client, address: str, owner: Owner, request: bytes) -> None:
    answer = http.get(f"{address}/result")
    assert answer.status_code == 200, answer.text
    assert "run;dur=" in answer.headers["server-timing"]
    assert np.abs(decrypted(owner, request, answer.content) - expected(X)).max() < ERROR


def end(http: httpx.Client, address: str) -> dict[str, Any]:
    """Wait until a job has ended; return its status."""
    while True:
        status: dict[str, Any] = http.get(address, headers={"Prefer": "wait=20"}).json()
        if JobState(status["status"]).has_ended:
            return status


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_job_runs_and_its_result_stays_until_it_is_acknowledged(
    http: httpx.Client, slow_owner: Owner
) -> None:
    answer, request = ask(http, slow_owner, "slow")
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    address, status = answer.headers["location"], load_job(answer.content)
    assert address == f"/v1/jobs/{status.job}" and JOB_ID.fullmatch(status.job)
    assert (status.model, status.status, status.operations) == ("slow", "queued", ROTATIONS + 4)
    assert code(http.get(f"{address}/result")) == (409, "job_unfinished")
    ended = end(http, address)
    assert (ended["status"], ended["operations_done"]) == ("done", ROTATIONS + 4)
    for _ in range(2):
        check_result(http, address, slow_owner, request)
    assert http.delete(address).json()["status"] == "done"
    for gone in (http.get(address), http.get(f"{address}/result"), http.delete(address)):
        assert code(gone) == (404, "job_unknown")


def test_events_tell_the_layer_that_runs(http: httpx.Client, slow_owner: Owner) -> None:
    """Read events like a browser's EventSource: a name and one line of data each."""
    answer, request = ask(http, slow_owner, "slow")
    address = answer.headers["location"]
    events: list[tuple[str, dict[str, Any]]] = []
    with http.stream("GET", f"{address}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                events.append((name, json.loads(value)))
    names = [name for name, _ in events]
    assert names[-1] == "done" and "progress" in names
    told = [status for name, status in events if name == "progress" and status["operations_done"]]
    assert told and all(status["layer"] == SLOW for status in told)
    done = [status["operations_done"] for status in told]
    assert done == sorted(done) and done[-1] < ROTATIONS + 4
    check_result(http, address, slow_owner, request)
    http.delete(address)


def test_a_cancelled_job_stops_at_its_next_operation(http: httpx.Client, slow_owner: Owner) -> None:
    runs = scrape(http)("run_seconds_count", model="slow")
    answer, _ = ask(http, slow_owner, "slow")
    address = answer.headers["location"]
    wait_until(lambda: http.get(address).json()["operations_done"] > 0)
    assert http.delete(address).json()["status"] == "cancelled"
    wait_for_pending(http, 0)
    assert scrape(http)("run_seconds_count", model="slow") == runs
    assert code(http.get(address)) == (404, "job_unknown")


def test_there_is_a_limit_of_jobs_and_small_predictions_go_on_beside_them(
    http: httpx.Client, slow_owner: Owner, owner: Owner
) -> None:
    """Jobs leave one of two workers to others."""
    addresses = [ask(http, slow_owner, "slow")[0].headers["location"] for _ in range(3)]
    refused, _ = ask(http, slow_owner, "slow")
    assert code(refused) == (503, "busy") and "acknowledge" in refused.json()["error"]
    for _ in range(5):
        answer, request = ask(http, owner, "small", prefer="")
        assert answer.status_code == 200
        assert np.abs(decrypted(owner, request, answer.content) - expected(X)).max() < ERROR
    assert any(http.get(job).json()["status"] in ("queued", "running") for job in addresses)
    for job in addresses:
        http.delete(job)


def test_a_prediction_becomes_a_job_if_it_would_take_longer_than_its_client_waits(
    http: httpx.Client, slow_owner: Owner, owner: Owner
) -> None:
    answer, _ = ask(http, slow_owner, "slow", prefer="respond-async, wait=0")
    assert answer.status_code == 202
    http.delete(answer.headers["location"])
    assert ask(http, owner, "small", prefer="respond-async, wait=60")[0].status_code == 200
    assert ask(http, owner, "small", prefer="wait=0")[0].status_code == 200  # it takes no job


def test_followed_jobs_take_their_turns_with_requests(http: httpx.Client, slow_owner: Owner) -> None:
    """Only the client's wait made them jobs: both workers compute them, where jobs leave one to requests."""
    answers = [ask(http, slow_owner, "slow", prefer="respond-async, wait=0")[0] for _ in range(2)]
    assert {answer.headers["preference-applied"] for answer in answers} == {"respond-async, wait=0"}
    addresses = [answer.headers["location"] for answer in answers]

    def both_run() -> bool:
        statuses = [http.get(address).json() for address in addresses]
        assert all(status["status"] in ("queued", "running") for status in statuses)
        return all(status["operations_done"] > 0 for status in statuses)

    wait_until(both_run)
    for address in addresses:
        http.delete(address)
    wait_for_pending(http, 0)


def test_a_followed_job_for_which_nobody_asks_ends(
    slow: ServedModel, slow_owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops like a request whose client has gone. A job that was asked for as one goes on."""
    monkeypatch.setattr(jobs, "AGE_SECONDS", 0.1)
    with (
        live({"slow": slow}) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
    ):
        followed, kept = (
            ask(http, slow_owner, "slow", prefer=prefer)[0].headers["location"]
            for prefer in ("respond-async, wait=0", "respond-async")
        )
        wait_until(lambda: http.get(followed).json()["operations_done"] > 0)
        monkeypatch.setattr(jobs, "UNFOLLOWED_SECONDS", 0.3)
        wait_until(lambda: sum(scrape(http)(f"jobs_{state}") for state in JobState) == 1)
        assert code(http.get(followed)) == (404, "job_unknown")
        assert http.get(kept).status_code == 200
        http.delete(kept)
        wait_for_pending(http, 0)


def test_a_job_beyond_the_time_of_a_request_is_no_followed_one(slow: ServedModel, slow_owner: Owner) -> None:
    """The plan says that it takes a second. It may take as long as a job, and has no room where jobs have none."""
    with (
        live({"slow": slow}, Settings(request_timeout=0.5, jobs_per_tenant=1)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
    ):
        answer, _ = ask(http, slow_owner, "slow", prefer="respond-async, wait=0")
        assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
        refused, _ = ask(http, slow_owner, "slow", prefer="respond-async, wait=0")
        assert code(refused) == (503, "busy")
        http.delete(answer.headers["location"])


def test_a_followed_job_ends_in_the_time_of_a_request(slow: ServedModel, slow_owner: Owner) -> None:
    """The plan says that it takes a second, and its worker does not go on."""
    with (
        live({"slow": slow}, Settings(request_timeout=2.0)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
        paused(http),
    ):
        address = ask(http, slow_owner, "slow", prefer="respond-async, wait=0")[0].headers["location"]
        ended = end(http, address)
        assert (ended["status"], ended["code"]) == ("failed", "timeout")
        assert "longer than 2 s, the most that this server allows a request" in ended["message"]


def test_a_job_that_fails_tells_why(http: httpx.Client, owner: Owner) -> None:
    key_id = http.put("/v1/models/small/keys", content=owner.keys, headers=OCTETS).json()["key_id"]
    headers = OCTETS | {"Hetorch-Key-Id": key_id, "Prefer": "respond-async"}
    answer = http.post("/v1/models/small/predict", content=owner.request("0" * 64), headers=headers)
    assert answer.status_code == 202
    address = answer.headers["location"]
    ended = end(http, address)
    assert (ended["status"], ended["code"]) == ("failed", "other_keys")
    assert "000000" in ended["message"]
    assert code(http.get(f"{address}/result")) == (409, "other_keys")
    http.delete(address)


def test_jobs_belong_to_a_tenant(served: ServedModel, owner: Owner, tmp_path: Path) -> None:
    texts, tokens = zip(*(issue(name, name) for name in ("mine", "other")), strict=True)
    save_tokens(tmp_path / "tokens.json", tokens)
    mine, other = ({"Authorization": f"Bearer {text}"} for text in texts)
    settings = Settings(tokens=tmp_path / "tokens.json")
    with live({"small": served}, settings) as url, httpx.Client(base_url=url, trust_env=False) as http:
        answer, _ = ask(http, owner, "small", **mine)
        address = answer.headers["location"]
        for path in (address, f"{address}/result", f"{address}/events"):
            assert code(http.get(path, headers=other)) == (404, "job_unknown")
            assert code(http.get(path)) == (401, "unauthorised")
        assert code(http.delete(address, headers=other)) == (404, "job_unknown")
        wait_until(lambda: http.get(address, headers=mine).json()["status"] == "done")
        assert http.get(f"{address}/result", headers=mine).status_code == 200


def test_results_are_deleted_when_their_time_is_over(
    served: ServedModel, owner: Owner, tmp_path: Path
) -> None:
    settings = Settings(job_life=0.5, job_folder=tmp_path)
    with live({"small": served}, settings) as url, httpx.Client(base_url=url, trust_env=False) as http:
        answer, _ = ask(http, owner, "small")
        wait_until(lambda: http.get(answer.headers["location"]).status_code == 404)
        wait_until(lambda: not [*tmp_path.glob("*.re*")])  # neither request nor response


def test_a_killed_server_comes_back_with_keys_and_jobs(tmp_path: Path) -> None:
    """One job is done, one runs and one waits when it is killed. All results are there in the end, and right."""
    plan = tmp_path / "slow.hetorch"
    slow_plan().save(plan)
    owner = make_owner(serve_plan("slow", slow_plan(1)).public)  # the same parameters and keys
    owner = Owner(serve_plan("slow", slow_plan()).public, owner.secret, owner.keys)
    options = ["--job-folder", str(tmp_path / "jobs"), "--key-folder", str(tmp_path / "keys")]
    with server_process([plan], tmp_path, *options) as (url, process):
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
            asked = [ask(http, owner, "slow") for _ in range(3)]
            addresses = [answer.headers["location"] for answer, _ in asked]
            assert end(http, addresses[0])["status"] == "done"
            wait_until(lambda: http.get(addresses[1]).json()["status"] == "running")
            assert http.get(addresses[2]).json()["status"] == "queued"
        process.kill()
        process.wait()
    (tmp_path / "ready").unlink()
    with (
        server_process([plan], tmp_path, *options) as (url, _),
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
    ):
        for address, (_, request) in zip(addresses, asked, strict=True):
            assert end(http, address)["status"] == "done"
            check_result(http, address, owner, request)


def test_a_stopped_server_does_not_wait_for_those_who_follow_a_job(tmp_path: Path) -> None:
    """Running requests have 30 s, in which the job would be done."""
    plan = tmp_path / "slow.hetorch"
    slow_plan(2 * ROTATIONS).save(plan)
    owner = make_owner(serve_plan("slow", slow_plan(1)).public)
    owner = Owner(serve_plan("slow", slow_plan(2 * ROTATIONS)).public, owner.secret, owner.keys)
    with (
        server_process([plan], tmp_path) as (url, process),
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
    ):
        address = ask(http, owner, "slow")[0].headers["location"]
        with http.stream("GET", f"{address}/events") as stream:
            lines = stream.iter_lines()
            while "progress" not in next(lines):
                pass
            process.terminate()
            assert not any("event: done" in line for line in lines)
        assert process.wait(60) == 0


def test_a_server_without_jobs_answers_at_once(served: ServedModel, owner: Owner) -> None:
    """Clients take either answer. Under Ray there are no jobs, since another replica would be asked for them."""
    with (
        live({"small": served}, Settings(jobs=False)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):
        assert ask(client, owner, "small")[0].status_code == 200
