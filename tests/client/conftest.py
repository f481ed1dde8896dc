"""A small model on a live server, and a vault, for the tests of one module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hetorch.client import Client, Vault, remote_jobs
from hetorch.serving.models import ServedModel, serve_plan
from tests.server.conftest import slow
from tests.server.live import live
from tests.server.slow_plan import slow_plan
from tests.server.small_plan import small_plan

__all__ = ["slow"]

PREDICTED_SECONDS = 10.0
"""Time that the plan of `short` says it takes: more than WATCHED_SECONDS. It takes less."""


@pytest.fixture(scope="module")
def served() -> ServedModel:
    return serve_plan("small", small_plan())


@pytest.fixture(scope="module")
def url(served: ServedModel) -> Iterator[str]:
    with live({"small": served}) as address:
        yield address


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault(tmp_path_factory.mktemp("vault") / "keys")


@pytest.fixture
def client(url: str, vault: Vault) -> Iterator[Client]:
    with Client(url, vault=vault, allow_insecure=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def short() -> ServedModel:
    """A model that computes for a moment."""
    plan = slow_plan(1000)
    report = replace(plan.report, predicted_seconds=PREDICTED_SECONDS)
    return serve_plan("short", replace(plan, report=report))


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a job of every watched prediction: once a model has run, its true time is known."""
    monkeypatch.setattr(remote_jobs, "WATCHED_SECONDS", 0)
