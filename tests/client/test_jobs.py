"""Jobs as a client sees them: submitted, followed, fetched once, cancelled; and long predictions that become one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from hetorch.client import AsyncClient, Client, Vault
from hetorch.errors import InputError, InputRangeWarning, RemoteError
from hetorch.server.settings import Settings
from hetorch.serving.models import ServedModel
from tests.client.test_client import ERROR, samples
from tests.server.live import live
from tests.server.scrape import scrape_url
from tests.server.slow_plan import SLOW
from tests.server.small_plan import expected
from tests.server.workers import wait_for_pending, wait_until


@pytest.fixture(scope="module")
def url(slow: ServedModel) -> Iterator[str]:
    """A server whose requests may take half a second, where the plan says that a prediction takes one."""
    with live({"slow": slow}, Settings(request_timeout=0.5)) as address:
        yield address


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault(tmp_path_factory.mktemp("vault") / "keys")


def jobs(url: str) -> float:
    """Return the number of jobs on a server."""
    numbers = scrape_url(url)
    return sum(numbers(f"jobs_{state}") for state in ("queued", "running", "done", "failed"))


def check_stopped(url: str) -> None:
    """Wait until a server has no jobs and computes nothing; fail if that does not happen."""
    with httpx.Client(base_url=url, trust_env=False) as http:
        wait_until(lambda: jobs(url) == 0)
        wait_for_pending(http, 0)


def test_a_long_prediction_becomes_a_job_by_itself(url: str, vault: Vault) -> None:
    """It takes longer than the half second of a request, and its layers are told."""
    told: list[tuple[str, float]] = []
    x = samples(1)
    with Client(
        url, vault=vault, allow_insecure=True, progress=lambda stage, done: told.append((stage, done))
    ) as client:
        assert np.abs(client.predict(x) - expected(x)).max() < ERROR
    shares = [done for stage, done in told if stage == SLOW]
    assert shares and shares == sorted(shares) and 0 < shares[-1] <= 1
    assert jobs(url) == 0  # its result was acknowledged


def test_a_job_is_followed_and_fetched_once(url: str, vault: Vault) -> None:
    batch = samples(3)
    with Client(url, vault=vault, allow_insecure=True, progress=False) as client:
        job = client.submit(batch)
        assert len(job.ids) == -(-3 // client.plan.batch_size)
        first = job.progress
        result = job.result()
        assert 0 <= first <= job.progress == 1
        assert result.shape == (3, 4) and np.abs(result - expected(batch)).max() < ERROR
        assert jobs(url) == 0
        assert (job.result() == result).all()  # nobody is asked again


def test_a_cancelled_job_has_no_result(url: str, vault: Vault) -> None:
    with Client(url, vault=vault, allow_insecure=True, progress=False) as client:
        job = client.submit(samples(1))
        job.cancel()
        job.cancel()  # changes nothing
        with pytest.raises(RemoteError, match="there is no job") as error:
            job.result()
        assert error.value.code == "job_unknown"
        with httpx.Client(base_url=url, trust_env=False) as http:
            wait_for_pending(http, 0)


def test_an_interrupted_prediction_cancels_its_job(url: str, vault: Vault) -> None:
    class Enough(Exception):
        pass

    def interrupt(stage: str, done: float) -> None:
        if stage == SLOW:
            raise Enough

    with (
        Client(url, vault=vault, allow_insecure=True, progress=interrupt) as client,
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        with pytest.raises(Enough):
            client.predict(samples(1))
        wait_until(lambda: jobs(url) == 0)
        wait_for_pending(http, 0)


def test_jobs_of_an_asynchronous_client(url: str, vault: Vault) -> None:
    x = samples(1)

    async def main() -> None:
        async with AsyncClient(url, vault=vault, allow_insecure=True, progress=False) as client:
            job, other = await client.submit(x), await client.submit(x)
            await other.cancel()
            assert 0 <= await job.progress() <= 1
            assert np.abs(await job.result() - expected(x)).max() < ERROR

    asyncio.run(main())


def test_an_input_far_beyond_the_range_is_computed_and_its_result_refused(url: str, vault: Vault) -> None:
    """The server sees a job like any other, as by predict."""
    with Client(url, vault=vault, allow_insecure=True, progress=False) as client:
        with pytest.warns(InputRangeWarning):
            job = client.submit(samples(1) * 1e30)
        with pytest.raises(InputError, match="far beyond"):
            job.result()


def test_a_job_that_fails_tells_the_reason(slow: ServedModel, vault: Vault) -> None:
    with (
        live({"slow": slow}, Settings(job_timeout=0.2)) as url,
        Client(url, vault=vault, allow_insecure=True, progress=False) as client,
    ):
        job = client.submit(samples(1))
        with pytest.raises(RemoteError, match=r"longer than 0\.2 s") as error:
            job.result()
        assert error.value.code == "timeout"
