"""Uploads in pieces as the client sends them: they go on after breaks, and take little memory."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from hetorch.client import Client, Vault, piecewise, retries
from hetorch.errors import RemoteError, WireError
from hetorch.serving.models import ServedModel
from tests.client.strange_server import Reply, strange_server
from tests.server.small_plan import expected
from tests.server.test_uploads import kill

CHUNK = 50_000
X = np.linspace(-1, 1, 8)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piecewise, "CHUNK_BYTES", CHUNK)
    monkeypatch.setattr(retries, "FIRST_PAUSE_SECONDS", 0.01)


class Breaking(httpx.HTTPTransport):
    """A transport whose connection breaks during every second piece: before the server gets it, or after."""

    def __init__(self, *, after: bool) -> None:
        super().__init__()
        self.offsets: list[int] = []
        self._after = after

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "PATCH":
            return super().handle_request(request)
        self.offsets.append(int(request.headers["upload-offset"]))
        assert len(request.read()) <= CHUNK
        breaks = len(self.offsets) % 2 == 0
        if breaks and not self._after:
            raise httpx.ReadError("broken")
        response = super().handle_request(request)
        if breaks:
            response.read()
            raise httpx.ReadError("broken")
        return response


@pytest.mark.parametrize("after", [False, True])
def test_an_upload_goes_on_after_each_break(url: str, tmp_path: Path, after: bool) -> None:
    transport = Breaking(after=after)
    told: list[float] = []
    with Client(
        url,
        vault=Vault(tmp_path / "vault"),
        allow_insecure=True,
        transport=transport,
        progress=lambda stage, fraction: told.append(fraction) if "uploading" in stage else None,
    ) as client:
        assert np.abs(client.predict(X) - expected(X)).max() < 1e-3
        size = client.key_bytes
    offsets = transport.offsets
    assert len(set(offsets)) == -(-size // CHUNK)  # every piece once, beside those that broke
    if after:
        assert len(offsets) == len(set(offsets))  # what had come is not sent again
    assert told == sorted(told) and told[0] == 0 and told[-1] == 1 and len(set(told)) > 3


def test_keys_that_are_cut_short_while_they_are_sent_are_told(url: str, tmp_path: Path) -> None:
    class Cutting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.headers.get("upload-offset") == str(CHUNK):
                (keys,) = (tmp_path / "vault").glob("*/*.evk")
                with keys.open("r+b") as file:
                    file.truncate(CHUNK + 1000)
            return super().handle_request(request)

    with (
        Client(url, vault=Vault(tmp_path / "vault"), allow_insecure=True, transport=Cutting()) as client,
        pytest.raises(WireError, match="was changed while it was uploaded"),
    ):
        client.prepare()


def test_what_had_come_is_told_when_the_server_is_gone(url: str, tmp_path: Path) -> None:
    class Ending(httpx.HTTPTransport):
        here = True

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if not self.here or request.headers.get("upload-offset") == str(2 * CHUNK):
                self.here = False
                raise httpx.ConnectError("refused")
            return super().handle_request(request)

    with (
        Client(url, vault=Vault(tmp_path / "vault"), allow_insecure=True, transport=Ending()) as client,
        pytest.raises(RemoteError, match=r"broke off after 100 kB of .*, and the next try .*: no server"),
    ):
        client.prepare()


def test_an_upload_outlives_the_server(served: ServedModel, tmp_path: Path) -> None:
    """The server is killed in the middle, and another one is there at the same port a little later."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [serve(tmp_path, port)]

    class Killing(httpx.HTTPTransport):
        offsets: list[int] = []  # noqa: RUF012

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "PATCH":
                self.offsets.append(int(request.headers["upload-offset"]))
                if len(self.offsets) == 3:
                    kill(processes[0])
                    processes.append(serve(tmp_path, port))
            return super().handle_request(request)

    transport = Killing()
    try:
        with Client(
            f"http://127.0.0.1:{port}",
            vault=Vault(tmp_path / "vault"),
            allow_insecure=True,
            transport=transport,
            model="small",
        ) as client:
            assert np.abs(client.predict(X) - expected(X)).max() < 1e-3
            size = client.key_bytes
        assert set(transport.offsets) == set(range(0, size, CHUNK))  # none of them begins again at 0
        assert transport.offsets.count(0) == 1
    finally:
        processes[-1].send_signal(signal.SIGINT)
        processes[-1].wait(60)
        for process in processes:
            assert process.stdout is not None
            process.stdout.close()


SERVER = """
import sys
from pathlib import Path
from hetorch.server.app import create_app
from hetorch.server.run import bind, run
from hetorch.server.settings import Settings
from hetorch.serving.models import serve_plan
from tests.server.small_plan import small_plan

app = create_app({"small": serve_plan("small", small_plan())}, Settings(key_folder=Path(sys.argv[1]), workers=1))
run(app, bind("127.0.0.1", int(sys.argv[2])), Settings(), lambda address: print(address, flush=True))
"""


def serve(folder: Path, port: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder / "keys"), str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline()
    return process


@pytest.mark.parametrize("offset", [-1, 10**9, "0", None])
def test_a_server_that_lies_about_the_offset_is_not_believed(
    served: ServedModel, tmp_path: Path, offset: object
) -> None:
    def reply(path: str) -> Reply:
        if path.endswith("/uploads"):
            return 201, {}, json.dumps({"upload": "ab" * 16, "offset": offset}).encode()
        if "/keys/" in path:
            return 404, {}, b'{"error": "they are not here", "code": "keys_missing"}'
        return 200, {}, served.public_bytes

    with (
        strange_server(reply) as url,
        Client(url, vault=Vault(tmp_path / "vault"), model="small", allow_insecure=True) as client,
        pytest.raises(WireError),
    ):
        client.prepare()


def test_a_server_that_never_goes_on_is_given_up(served: ServedModel, tmp_path: Path) -> None:
    def reply(path: str) -> Reply:
        if path.endswith("/uploads"):
            return 201, {}, json.dumps({"upload": "ab" * 16, "offset": 0}).encode()
        if path.startswith("/v1/uploads/"):
            return 409, {"Upload-Offset": "0"}, b'{"error": "go on at 0", "code": "upload_offset"}'
        if "/keys/" in path:
            return 404, {}, b'{"error": "they are not here", "code": "keys_missing"}'
        return 200, {}, served.public_bytes

    with (
        strange_server(reply) as url,
        Client(url, vault=Vault(tmp_path / "vault"), model="small", allow_insecure=True) as client,
        pytest.raises(RemoteError) as caught,
    ):
        client.prepare()
    assert caught.value.code == "upload_offset"


MEMORY = """
import resource, sys
from pathlib import Path
from hetorch.client.attempt import Attempt
from hetorch.client.blocking import finish
from hetorch.client.piecewise import CHUNK_BYTES, UploadedFile, upload_in_pieces
from hetorch.wire.uploads import UploadState

class Sink:
    offset = 0
    async def begin_upload(self, request):
        return UploadState("ab" * 16, 0)
    async def continue_upload(self, state, piece):
        self.offset += sum(map(len, piece.pieces()))
        return "cd" * 32 if self.offset == SIZE else UploadState(state.upload, self.offset)

SIZE = 256 << 20
path = Path(sys.argv[1])
with path.open("wb") as file:
    file.truncate(SIZE)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
finish(upload_in_pieces(Sink(), UploadedFile.of("keys", path), lambda done, size: None))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 // CHUNK_BYTES)
"""


def test_the_memory_of_an_upload_does_not_grow_with_it(tmp_path: Path) -> None:
    """Less than one of its 64 requests is in memory."""
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "keys")]
    pieces = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert int(pieces) == 0
