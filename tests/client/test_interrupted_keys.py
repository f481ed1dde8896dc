"""Making and sending the keys of a bootstrapped plan is interrupted, in processes of their own, and run again."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hetorch.client.key_making import MAKING_KEYS
from hetorch.client.uploads import UPLOADING_KEYS
from tests.server.bootstrap_plan import bootstrap_plan
from tests.server.test_uploads import kill

CLIENT = """
import json, sys, time
import numpy as np
from hetorch.client import Client, piecewise

piecewise.CHUNK_BYTES = 100_000

def tell(stage, fraction):
    print(json.dumps([stage, fraction]), flush=True)
    time.sleep(0.02)  # else there is no time to interrupt it

with Client(sys.argv[1], vault=sys.argv[2], allow_insecure=True, progress=tell) as client:
    print(json.dumps(["result", float(np.abs(client.predict(np.full(8, 0.5)) - 0.0625).max())]), flush=True)
"""
SERVER = """
import sys
from pathlib import Path
from hetorch.server.app import create_app
from hetorch.server.run import bind, run
from hetorch.server.settings import Settings
from hetorch.serving.models import load_models

folder = Path(sys.argv[1])
settings = Settings(key_folder=folder / "keys", workers=1)
app = create_app(load_models([folder / "deep.hetorch"]), settings)
run(app, bind("127.0.0.1", int(sys.argv[2])), settings, lambda address: print(address, flush=True))
"""
ERROR = 2e-3
"""The error of two bootstraps of the plan (tests/server/test_bootstrap_plan)."""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    errors = subprocess.PIPE if code is CLIENT else None
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)


def serve(folder: Path, port: int) -> subprocess.Popen[str]:
    process = start(SERVER, folder, port)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def interrupted(
    client: subprocess.Popen[str], how: int, reached: Callable[[], bool]
) -> list[tuple[str, float]]:
    """Send a signal to a client as soon as it has reached something; return what it had told."""
    deadline = time.monotonic() + 60
    while not reached():
        assert client.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    client.send_signal(how)
    told, _ = client.communicate(timeout=60)
    assert client.returncode not in (0, 1)
    return [tuple(json.loads(line)) for line in told.splitlines()]


def names(folder: Path, ending: str) -> set[str]:
    return {path.name for path in folder.glob(f"*/{ending}")}


def largest(folder: Path) -> int:
    """Return the size of the largest file in a folder; 0 if there is none."""
    return max((path.stat().st_size for path in folder.glob("*") if path.exists()), default=0)


def test_keys_are_made_and_sent_anew_as_little_as_possible(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bootstrap_plan().save(tmp_path / "deep.hetorch")
    server = serve(tmp_path, port)
    vault, parts = tmp_path / "vault", tmp_path / "keys" / "parts"

    def run() -> subprocess.Popen[str]:
        return start(CLIENT, f"http://127.0.0.1:{port}", vault)

    def a_key_is_made() -> bool:
        return any(path.stat().st_size > 500_000 for path in vault.glob("*/.new-*"))

    try:
        # Ctrl-C while keys are made: the secret stays, nothing else does.
        told = interrupted(run(), signal.SIGINT, a_key_is_made)
        assert 0 < max(share for stage, share in told if stage == MAKING_KEYS) < 1
        assert names(vault, "seed") and not names(vault, ".new-*") and not names(vault, "*.evk")
        (seed,) = (path.read_bytes() for path in vault.glob("*/seed"))

        # Killed: what is left of it goes when the next one makes all keys.
        interrupted(run(), signal.SIGKILL, a_key_is_made)
        assert names(vault, ".new-*") and not names(vault, "*.evk")

        # Ctrl-C while they are sent: the keys stay, and what the server has.
        told = interrupted(run(), signal.SIGINT, lambda: largest(parts) > 2_000_000)
        assert max(share for stage, share in told if stage == MAKING_KEYS) == 1
        keys = names(vault, "*.evk")
        assert len(keys) == 1 and not names(vault, ".new-*")
        sent = largest(parts)

        # Both are killed: the server goes on where it was, too.
        client = run()
        interrupted(client, signal.SIGKILL, lambda: largest(parts) > sent + 1_000_000)
        kill(server)
        came = largest(parts)
        server = serve(tmp_path, port)
        assert largest(parts) == came and not list((tmp_path / "keys" / "stored").iterdir())

        lines, errors = (client := run()).communicate(timeout=120)
        assert client.returncode == 0, errors
        told = [tuple(json.loads(line)) for line in lines.splitlines()]
        assert MAKING_KEYS not in {stage for stage, _ in told}
        size = next(vault.glob("*/*.evk")).stat().st_size
        assert next(share for stage, share in told if stage == UPLOADING_KEYS) == came / size
        assert told[-1][0] == "result" and told[-1][1] < ERROR
        assert names(vault, "*.evk") == keys
        assert [path.read_bytes() for path in vault.glob("*/seed")] == [seed]
        assert len(list((tmp_path / "keys" / "stored").iterdir())) == 1 and not list(parts.iterdir())
    finally:
        kill(server)
