"""Predictions that somebody watches: jobs that tell their layers, and that are otherwise answered, bounded and ended as
requests are."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.client import AsyncClient, Client, Vault, remote_jobs
from hetorch.errors import RemoteError
from hetorch.progress import LINES, Progress, ProgressOption
from hetorch.server.settings import Settings
from hetorch.serving.models import ServedModel
from hetorch.wire.limits import REQUEST_SECONDS
from hetorch.wire.server_timing import load_server_timing
from tests.client.test_client import ERROR, samples
from tests.client.test_jobs import check_stopped, jobs
from tests.server.live import live
from tests.server.slow_plan import SLOW
from tests.server.small_plan import expected
from tests.server.workers import stopped_workers


@pytest.fixture(scope="module")
def url(short: ServedModel) -> Iterator[str]:
    with live({"short": short}) as address:
        yield address


class Noting(httpx.HTTPTransport):
    """Notes the requests, the wishes of predictions, and the server's times."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.wishes: list[str] = []
        self.times: dict[str, float] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.url.path.endswith("/predict"):
            self.wishes.append(request.headers["prefer"])
        response = super().handle_request(request)
        self.times |= load_server_timing(response.headers.get("server-timing", ""))
        return response

    @property
    def about_jobs(self) -> list[str]:
        return [asked for asked in self.asked if "/v1/jobs/" in asked]


def watch(url: str, vault: Vault, progress: Progress, **options: float) -> Client:
    return Client(url, vault=vault, allow_insecure=True, progress=progress, **options)  # type: ignore[arg-type]


def test_where_somebody_watches_the_layers_are_told(url: str, vault: Vault) -> None:
    told: list[tuple[str, float]] = []
    x, noting = samples(1), Noting()
    with Client(
        url,
        vault=vault,
        allow_insecure=True,
        progress=lambda stage, done: told.append((stage, done)),
        transport=noting,
    ) as client:
        assert np.abs(client.predict(x) - expected(x)).max() < ERROR
        timings = client.timings[-1]
    assert noting.wishes == [f"respond-async, wait={remote_jobs.WATCHED_SECONDS}"]
    assert SLOW in [stage for stage, _ in told]
    assert noting.about_jobs[-1].startswith("DELETE") and jobs(url) == 0
    # The job's time is the server's, as that of a request, and not only that of fetching its result.
    assert timings.server == pytest.approx(sum(noting.times.values()) / 1e3) and noting.times["run"] > 0
    assert timings.upload >= 0 and timings.download >= 0


@pytest.mark.parametrize("watched", [LINES, lambda stage, done: None])
def test_a_request_for_what_takes_no_time(served: ServedModel, vault: Vault, watched: ProgressOption) -> None:
    check_request(served, vault, watched, remote_jobs.WATCHED_SECONDS)


@pytest.mark.parametrize("progress", [None, True, False])
def test_nothing_changes_where_nobody_watches(
    short: ServedModel, vault: Vault, progress: ProgressOption
) -> None:
    """The tests have no terminal, so the default display shows nothing."""
    check_request(short, vault, progress, REQUEST_SECONDS)


def check_request(model: ServedModel, vault: Vault, progress: ProgressOption, wait: float) -> None:
    x, noting = samples(1), Noting()
    with (
        live({model.name: model}) as url,
        Client(url, vault=vault, allow_insecure=True, progress=progress, transport=noting) as client,
    ):
        assert np.abs(client.predict(x) - expected(x)).max() < ERROR
    assert noting.wishes == [f"respond-async, wait={wait:.0f}"]
    assert not noting.about_jobs


def test_no_room_for_jobs_refuses_no_prediction(short: ServedModel, vault: Vault, tmp_path: Path) -> None:
    """Neither their number, nor their disk, nor a folder that is gone; nor a server that makes none."""
    x, full = samples(1), tmp_path / "full"
    limits = [Settings(job_disk=1), Settings(job_folder=full), Settings(jobs=False)]
    for settings in limits:
        noting = Noting()
        with live({"short": short}, settings) as url:
            shutil.rmtree(full, ignore_errors=True)
            with Client(
                url,
                vault=vault,
                allow_insecure=True,
                progress=lambda stage, done: None,
                transport=noting,
            ) as client:
                assert np.abs(client.predict(x) - expected(x)).max() < ERROR
            assert len(noting.wishes) == 1 and not noting.about_jobs
            full.mkdir(exist_ok=True)  # the server closes its database there


@pytest.mark.usefixtures("always")
def test_calls_at_once_are_jobs_as_far_as_there_may_be_jobs(short: ServedModel, vault: Vault) -> None:
    results: list[float] = []
    with live({"short": short}, Settings(jobs_per_tenant=1)) as url:
        noting = Noting()
        with Client(
            url, vault=vault, allow_insecure=True, progress=lambda stage, done: None, transport=noting
        ) as client:
            client.prepare()

            def call() -> None:
                x = samples(2 * client.plan.batch_size)  # two requests, one after the other
                results.append(np.abs(client.predict(x) - expected(x)).max())

            threads = [threading.Thread(target=call) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(results) == 4 and max(results) < ERROR
        assert noting.about_jobs and jobs(url) == 0


@pytest.mark.usefixtures("always")
def test_a_followed_job_has_as_long_as_a_request(url: str, vault: Vault) -> None:
    stages: list[str] = []
    late = r"did not answer POST /v1/models/short/predict within 2 s; wait longer with timeout="
    with watch(url, vault, lambda stage, done: stages.append(stage), timeout=2.0) as client:
        client.prepare()
        with stopped_workers(url), pytest.raises(RemoteError, match=late):
            client.predict(samples(1))
    assert stages[-1] == "running"
    check_stopped(url)


@pytest.mark.usefixtures("always")
def test_a_deadline_that_passes_cancels_the_job(url: str, vault: Vault) -> None:
    """It is cancelled although the time for the call has passed."""
    seconds, stages = 4.0, list[str]()

    def sleep(stage: str, done: float) -> None:
        if stage == "running":
            stages.append(stage)
            time.sleep(seconds)

    with watch(url, vault, sleep, deadline=seconds) as client:
        client.prepare()
        with stopped_workers(url), pytest.raises(RemoteError, match=r"\(deadline=\) has passed"):
            client.predict(samples(1))
    assert len(stages) == 1
    check_stopped(url)


@pytest.mark.usefixtures("always")
def test_a_prediction_whose_followed_job_is_lost_is_answered_in_its_request(url: str, vault: Vault) -> None:
    """The server was started anew, or a proxy asks another server about the job."""
    x, noting = samples(1), Noting()
    lost: list[str] = []

    def lose(stage: str, done: float) -> None:
        if noting.about_jobs and not lost:
            lost.append(noting.about_jobs[-1].split()[1])
            with httpx.Client(base_url=url, trust_env=False) as http:
                assert http.delete(lost[0]).status_code == 200

    with Client(url, vault=vault, allow_insecure=True, progress=lose, transport=noting) as client:
        for _ in range(2):
            assert np.abs(client.predict(x) - expected(x)).max() < ERROR
    assert lost
    followed, plain = "respond-async, wait=0", f"respond-async, wait={REQUEST_SECONDS:.0f}"
    assert noting.wishes == [followed, plain, plain]


@pytest.mark.usefixtures("always")
def test_a_task_that_is_cancelled_cancels_its_job(url: str, vault: Vault) -> None:
    stages: list[str] = []

    async def main() -> None:
        def told(stage: str, done: float) -> None:
            if noting.answered:
                stages.append(stage)
                task.cancel()

        noting = NotingAsync()
        async with AsyncClient(
            url, vault=vault, allow_insecure=True, progress=told, transport=noting
        ) as client:
            await client.prepare()
            with stopped_workers(url):
                task = asyncio.create_task(client.predict(samples(1)))
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(main())
    assert stages
    check_stopped(url)


class NotingAsync(httpx.AsyncHTTPTransport):
    """Notes whether a prediction was answered."""

    answered = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        self.answered = self.answered or request.url.path.endswith("/predict")
        return response
