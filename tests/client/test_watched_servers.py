"""Watched predictions where there are several servers: if one goes in the middle of a followed job, the next one
computes it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.client import Client, Vault
from hetorch.errors import RemoteError
from hetorch.serving.models import ServedModel
from tests.client.test_client import ERROR, samples
from tests.client.test_jobs import check_stopped, jobs
from tests.client.test_servers import Faulty
from tests.server.live import live
from tests.server.small_plan import expected
from tests.server.workers import stopped_workers

pytestmark = pytest.mark.usefixtures("always")
FAULTS = [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), 503]


@pytest.fixture(scope="module")
def first(short: ServedModel) -> Iterator[str]:
    with live({"short": short}) as address:
        yield address


@pytest.fixture(scope="module")
def second(short: ServedModel) -> Iterator[str]:
    with live({"short": short}) as address:
        yield address


class Watched:
    """A client of some servers, what they are asked, and what happens once a job of the first one is followed."""

    def __init__(
        self, urls: list[str], vault: Vault, happens: Callable[[], object] | None = None, **options: float
    ) -> None:
        self.transport = Faulty()
        self.happens = happens
        self._url = urls[0]
        self.client = Client(
            urls,
            vault=vault,
            allow_insecure=True,
            progress=self._told,
            transport=self.transport,
            **options,  # type: ignore[arg-type]
        )

    def _told(self, stage: str, done: float) -> None:
        if self.happens is not None and self.about_jobs(self._url):
            happens, self.happens = self.happens, None
            happens()

    def fail(self, fault: Exception | int) -> None:
        """Let the first server have a fault from then on, once a job of it is followed."""
        self.happens = lambda: self.transport.away.update({self._url: fault})

    def about_jobs(self, url: str) -> list[str]:
        """Return the methods and addresses of the requests about jobs that a server got."""
        return [asked for address, asked in self.transport.asked if address == url and "/v1/jobs/" in asked]

    def check(self) -> None:
        x = samples(1)
        assert np.abs(self.client.predict(x) - expected(x)).max() < ERROR


def test_the_server_that_answers_has_the_job(first: str, second: str, vault: Vault) -> None:
    watched = Watched([first, second], vault)
    with watched.client:
        watched.check()
    assert watched.about_jobs(first)[-1].startswith("DELETE") and not watched.about_jobs(second)
    assert jobs(first) == jobs(second) == 0


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_job_whose_server_goes_in_the_middle_is_computed_by_the_next_one(
    first: str, second: str, tmp_path: Path, fault: Exception | int
) -> None:
    """Its workers stand still, so that the job is not done before."""
    watched = Watched([first, second], Vault(tmp_path / "keys"))
    watched.fail(fault)
    with watched.client:
        watched.client.prepare()
        with stopped_workers(first):
            watched.check()
        asked = watched.about_jobs(first)
        # It is told once that nobody waits any more, and cannot hear it.
        assert [one.split()[0] for one in asked].count("DELETE") == 1 and jobs(first) == 1
        assert (second, "POST /v1/models/short/uploads") in watched.transport.asked
        assert watched.about_jobs(second)[-1].startswith("DELETE") and jobs(second) == 0
        # The next prediction is the second one's from the beginning.
        watched.transport.asked.clear()
        watched.check()
        assert {address for address, _ in watched.transport.asked} == {second}
    job = asked[0].split()[1]
    with httpx.Client(base_url=first, trust_env=False) as http:
        http.delete(job)
    check_stopped(first)


def test_a_job_that_takes_too_long_is_cancelled_and_computed_by_the_next_server(
    first: str, second: str, vault: Vault
) -> None:
    watched = Watched([first, second], vault, timeout=2.0)
    with watched.client:
        watched.client.prepare()
        with stopped_workers(first):
            watched.check()
    assert watched.about_jobs(first)[-1].startswith("DELETE")
    check_stopped(first)


def test_a_server_that_ends_in_the_middle_is_left_for_the_next_one(
    short: ServedModel, second: str, tmp_path: Path
) -> None:
    """It lets requests end, and takes no connection of those that follow a job."""
    with contextlib.ExitStack() as running:
        url = running.enter_context(live({"short": short}))
        watched = Watched([url, second], Vault(tmp_path / "keys"), running.close)
        with watched.client:
            watched.check()
    assert watched.happens is None and watched.about_jobs(second)


def test_when_no_server_is_left_the_last_error_is_told(first: str, second: str, vault: Vault) -> None:
    watched = Watched([first, second], vault)
    watched.fail(httpx.ConnectError("refused"))
    with watched.client:
        watched.client.prepare()
        watched.transport.away[second] = httpx.ConnectError("refused")
        with stopped_workers(first), pytest.raises(RemoteError, match=f"no server answers at {second}"):
            watched.client.predict(samples(1))
    with httpx.Client(base_url=first, trust_env=False) as http:
        http.delete(watched.about_jobs(first)[0].split()[1])
    check_stopped(first)
