"""A run of Flower as it is deployed: a superlink and supernodes in processes of their own, on loopback.

Four nodes, of which one is killed after its encrypted update has left: round 1 counts it, round 2 goes on with three.
Everything between superlink and supernodes crosses a proxy that keeps it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetorch.federated import Identity, Roster
from hetorch.federated.roster_file import dump_roster
from tests.federated.flower.app.encrypted_app import change_of, first_model, samples_of
from tests.federated.flower.environment import flower_environment
from tests.federated.flower.recording_proxy import RecordingProxy

APP = Path(__file__).with_name("app")
COUNT, KILLED = 4, 3
WINDOW = 16
"""Bytes of an array that are searched for: two numbers of 52 random bits do not occur by chance."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with all that it starts, which end with the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=environment, cwd=log.parent, start_new_session=True
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def make_roster(folder: Path) -> Roster:
    identities = [Identity.generate() for _ in range(COUNT)]
    for number, identity in enumerate(identities):
        path = folder / f"identity{number}"
        path.touch(0o600)
        path.write_bytes(identity.private_bytes())
    public = tuple(identity.public for identity in identities)
    roster = Roster("flower", public, 3, Roster.arrays_of(first_model(), bound=1.0), most_samples=1000)
    (folder / "roster.json").write_text(dump_roster(roster))
    return roster


def node_config(folder: Path, number: int) -> str:
    values: dict[str, Any] = {
        "hetorch-roster": str(folder / "roster.json"),
        "hetorch-identity": str(folder / f"identity{number}"),
        "hetorch-fewest-parties": 3,
        "number": number,
        "output": str(folder / f"model{number}.npz"),
        "pid-file": str(folder / f"pid{number}"),
        "die-at": "agree" if number == KILLED else "never",
    }
    return " ".join(f"{key}={json.dumps(value)}" for key, value in values.items())


def wait_for(done: Any, what: str, seconds: float = 1500) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"{what} took too long"
        time.sleep(0.5)


def run_flower(folder: Path, python: Path) -> RecordingProxy:
    """Run the app, and return what crossed the wire."""
    scripts = python.parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "FLWR_HOME": str(folder / "home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("PYTHONPATH", None)
    port = free_port()
    (folder / "home").mkdir()
    (folder / "home" / "config.toml").write_text(
        f'[superlink]\ndefault = "local"\n[superlink.local]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    )
    server = [str(scripts / "flower-superlink"), "--insecure", "--host", "127.0.0.1", "--port", str(port)]
    server.append("--disable-runtime-dependency-installation")
    with ExitStack() as stack:
        stack.enter_context(running(server, folder / "superlink.log", environment))
        wait_for(lambda: _listens(port), "the start of the superlink", 120)
        proxy = RecordingProxy(port)
        stack.callback(proxy.close)
        for number in range(COUNT):
            node = [str(scripts / "flower-supernode"), "--insecure", "--superlink", f"127.0.0.1:{proxy.port}"]
            node += ["--host", "127.0.0.1", "--port", str(free_port())]
            node += ["--node-config", node_config(folder, number)]
            process = stack.enter_context(running(node, folder / f"supernode{number}.log", environment))
            (folder / f"pid{number}").write_text(str(process.pid))
        roster, output = folder / "roster.json", folder / "summary.json"
        override = f'roster="{roster}" output="{output}"'
        command = [str(scripts / "flwr"), "run", str(APP), "local", "--run-config", override]
        started = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert started.returncode == 0, started.stdout + started.stderr
        wait_for(output.exists, "the run")
    return proxy


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.flower
@pytest.mark.timeout(2400)
def test_a_run_of_superlink_and_supernodes(tmp_path: Path) -> None:
    roster = make_roster(tmp_path)
    try:
        proxy = run_flower(tmp_path, flower_environment())
    except AssertionError:
        for log in sorted(tmp_path.glob("*.log")):
            print(f"== {log.name}\n{log.read_text()[-6000:]}")
        raise
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary == {"contributors": [4, 3], "arrays": 0, "secret_modules": []}
    assert not (tmp_path / f"model{KILLED}.npz").exists()
    rest = [number for number in range(COUNT) if number != KILLED]
    models = [dict(np.load(tmp_path / f"model{number}.npz")) for number in rest]
    check_model(models, roster, [(1, list(range(COUNT))), (2, rest)])
    check_wire(bytes(proxy.up), bytes(proxy.down), models[0], tmp_path)


def check_model(models: list[Any], roster: Roster, rounds: list[tuple[int, list[int]]]) -> None:
    """Compare the joint models with FedAvg in clear: half a fixed-point step for each contributor and round."""
    step = max(roster.step(array) for array in roster.arrays)
    expected, bound = first_model(), 0.0
    for round_, nodes in rounds:
        weights = [samples_of(node) for node in nodes]
        for name in expected:
            changes = [change_of(node, round_)[name] for node in nodes]
            expected[name] = expected[name] + np.average(changes, axis=0, weights=weights)
        bound += len(nodes) * step / 2 * roster.most_samples / sum(weights) + 2.0**-48
    for model in models:
        for name, values in expected.items():
            assert np.abs(model[name] - values).max() <= bound
            assert np.array_equal(model[name], models[0][name])


def check_wire(up: bytes, down: bytes, joint: Any, folder: Path) -> None:
    """Search what the superlink and the supernodes sent each other."""
    first = first_model()
    assert first["w"].tobytes()[:WINDOW] in down  # the search finds what is in clear
    assert b"accuracy" in up
    after_first = {name: first[name] for name in first}
    for node in range(COUNT):
        for round_ in (1, 2):
            for name, change in change_of(node, round_).items():
                for values in (change, after_first[name] + change):
                    assert values.tobytes()[:WINDOW] not in up + down
        assert (folder / f"identity{node}").read_bytes() not in up + down
    assert joint["w"].tobytes()[:WINDOW] not in up + down
    assert b"train_loss" not in up
