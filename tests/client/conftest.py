"""A small model on a live server, and a vault, for the tests of one module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hetorch.client import Client, Vault
from hetorch.serving.models import ServedModel, serve_plan
from tests.server.conftest import slow
from tests.server.live import live
from tests.server.small_plan import small_plan

__all__ = ["slow"]


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
