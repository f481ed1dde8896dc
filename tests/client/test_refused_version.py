"""A server that refuses the version which it names itself."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from hetorch.client import Client
from hetorch.errors import RemoteError
from hetorch.serving.models import ServedModel
from tests.client.test_client import samples
from tests.server.live import live


class Refusing(httpx.HTTPTransport):
    """Answers predict requests with other_version, and passes the others on."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("predict"):
            return super().handle_request(request)
        self.refused += 1
        body = b'{"error": "another version", "code": "other_version"}'
        return httpx.Response(409, stream=httpx.ByteStream(body))


def test_it_is_not_asked_for_ever(served: ServedModel, tmp_path: Path) -> None:
    transport = Refusing()
    with (
        live({"small": served}) as url,
        Client(url, vault=tmp_path / "keys", allow_insecure=True, transport=transport) as client,
        pytest.raises(RemoteError, match="says: another version"),
    ):
        client.predict(samples(1))
    assert transport.refused == 1
