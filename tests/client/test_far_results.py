"""Whoever decrypts is told of results far outside those of calibration: clients, their jobs, the command line."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hetorch
from hetorch.client import AsyncClient, Client, Sharing, Vault
from hetorch.errors import InputRangeWarning
from hetorch.serving.models import serve_plan
from tests.cli.command import hetorch as command
from tests.client.test_client import ERROR
from tests.inspect.far_results import WRONG, calibration_inputs, corners, far_plan, in_clear
from tests.server.live import live
from tests.server.small_plan import expected, small_plan

ROWS = np.stack([calibration_inputs()[5], corners()[WRONG]])
MESSAGE = r"1 sample of 2 \(index 1\) gave results of the model 'far' up to "


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with live({"far": serve_plan("far", far_plan())}) as address:
        yield address


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault(tmp_path_factory.mktemp("vault") / "keys")


def test_a_client_and_its_jobs_tell_at_the_caller(url: str, vault: Vault) -> None:
    with Client(url, vault=vault, progress=False) as client:
        with pytest.warns(InputRangeWarning, match=MESSAGE) as caught:
            results = client.predict(ROWS)
        assert [warning.filename for warning in caught] == [__file__]
        error = np.abs(results - in_clear(ROWS)).max(axis=1) / far_plan().report.output_range
        assert error[0] <= far_plan().report.promised_error and error[1] > 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client.predict(ROWS[0])
            job, good = client.submit(ROWS), client.submit(ROWS[:1])
            good.result()
        with pytest.warns(InputRangeWarning, match=MESSAGE) as caught:
            job.result()
        assert [warning.filename for warning in caught] == [__file__]


def test_an_asynchronous_client_tells_at_the_caller(url: str, vault: Vault) -> None:
    async def use() -> None:
        async with AsyncClient(url, vault=vault, progress=False) as client:
            with pytest.warns(InputRangeWarning, match=MESSAGE) as caught:
                await client.predict(ROWS)
            assert [warning.filename for warning in caught] == [__file__]

    asyncio.run(use())


def test_the_command_line_tells_on_stderr(url: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    np.save(tmp_path / "good.npy", ROWS[:1])
    told = command("predict", url, tmp_path / "x.npy", vault=tmp_path / "vault").stderr
    assert "1 sample of 2 (index 1) gave results of the model 'far' up to" in told
    assert (
        "gave results" not in command("predict", url, tmp_path / "good.npy", vault=tmp_path / "vault").stderr
    )


def test_the_noise_on_shared_results_is_not_told(tmp_path: Path) -> None:
    """The range is the one result of 50 equal rows: without room for its noise, one of 200 values would leave it with
    probability 1 - 2^-200. Without noise, a result beyond is told."""
    x = np.tile(np.linspace(-0.5, 0.5, 8), (50, 1))
    spread = expected(x[0])
    span = (float(spread.min()), float(spread.max()))
    plan = small_plan()
    report = replace(plan.report, predicted_error=1e-9, expected_outputs=span)
    plan = replace(plan, report=report)
    with (
        live({"small": serve_plan("small", plan)}) as url,
        Client(url, vault=tmp_path / "keys", allow_insecure=True, pinned=plan, progress=False) as client,
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error", InputRangeWarning)
            shared = client.predict(x, for_sharing=Sharing(queries=100))
        assert shared.max() > span[1] + ERROR or shared.min() < span[0] - ERROR
        with pytest.warns(InputRangeWarning, match=r"1 sample of 1 \(index 0\) gave results"):
            client.predict(np.full(8, 0.9), for_sharing=Sharing(queries=100))


def test_no_warning_reaches_a_plan_without_the_range(tmp_path: Path) -> None:
    plan = replace(far_plan(), report=replace(far_plan().report, expected_outputs=None))
    with (
        live({"far": serve_plan("far", plan)}) as url,
        Client(url, vault=tmp_path / "keys", progress=False) as client,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error", InputRangeWarning)
        assert client.plan.expected_outputs is None
        assert np.abs(client.predict(ROWS[1]) - hetorch.simulate(plan, ROWS[1])).max() < 1
