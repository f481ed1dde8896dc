"""Measure a server over loopback: rate and times at 1, 4, 16 and 64 clients, beside the predictions without HTTP.

The clients of most rows send prepared requests from a lean process; those of the last row encrypt and decrypt too.
Rounds of both sides take turns, so that other work on the machine slows both alike: "theirs" is the time of a
prediction without HTTP, and the ratio the share of its rate that remains over HTTP.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.network_turns import compile_plan
from benchmarks.networks import Prepared, prepare
from benchmarks.row import Row
from benchmarks.service_clients import Clients
from benchmarks.service_load import Load
from benchmarks.service_process import Served, cpu_seconds, environment, serving
from hetorch.engine.codec import dump_evaluation_keys
from hetorch.engine.secret import SecretKey
from hetorch.plan.plan import Plan
from hetorch.wire import addresses
from hetorch.wire.predict import dump_request

NETWORK = "dense"
"""The network that is served: some milliseconds a prediction, so that HTTP's share can be seen."""
MODEL = "plan"
"""The name of the model, which is that of the plan's folder."""
CLIENTS = (1, 4, 16, 64)
WORKERS = 2
REQUESTS = 8
"""Number of different prepared requests."""
ROUNDS, ROUND_SECONDS = 5, 3.0
"""Rounds of each side for each number of clients, and the length of one in seconds."""
MANY, WARM = 10_000, 1_000
"""Requests over which the server's memory is watched, and those before the first look."""


class Direct(AbstractContextManager["Direct"]):
    """The process that predicts without HTTP."""

    def __init__(self, plan: Path, folder: Path, threads: int) -> None:
        files = [str(path) for path in sorted(folder.glob("request-*"))]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.service_direct", str(plan)),
                *(str(folder / "keys"), str(WORKERS), *files),
            ],
            env=environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=60)

    def run(self, seconds: float, at_once: int) -> dict[str, float]:
        """Ask for so many predictions at once for some seconds; return count, seconds and cpu_seconds."""
        assert self._process.stdin is not None
        before = cpu_seconds(self._process.pid)
        self._process.stdin.write(f"{seconds} {at_once}\n")
        self._process.stdin.flush()
        answer: dict[str, float] = json.loads(self._line())
        return answer | {"cpu_seconds": cpu_seconds(self._process.pid) - before}

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process without HTTP ended")
        return line


def main() -> None:
    """Print all rows as soon as they are there."""
    options = arguments(__doc__ or "", threads=(1,))
    ledger = Ledger("A server over loopback", options.json, options.markdown)
    prepared = prepare(NETWORK)
    plan, _ = compile_plan(prepared, ledger)
    for threads in options.threads:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            key_id = _prepare_requests(plan, prepared, folder)
            with serving(plan, folder, threads, "--workers", str(WORKERS), "--queue", "256") as server:
                _upload(server, folder / "keys")
                with Direct(plan, folder, threads) as direct:
                    for clients in CLIENTS:
                        if options.only in _title(clients):
                            ledger.add(_row(server, direct, folder, key_id, clients, threads))
                if options.only in "memory":
                    ledger.add(_memory_row(server, folder, key_id, threads))
                if options.only in "clients of hetorch":
                    ledger.add(_clients_row(server, folder, prepared, threads))
    print(ledger.markdown())


def _prepare_requests(plan_folder: Path, prepared: Prepared, folder: Path) -> str:
    """Write keys and requests of one data owner as files; return the id of the keys."""
    plan = Plan.load(plan_folder).public()
    secret = SecretKey.generate(plan.parameters)
    keys = b"".join(
        dump_evaluation_keys(plan.parameters, plan.key_spec, secret.switching_keys(plan.key_spec))
    )
    (folder / "keys").write_bytes(keys)

    key_id = hashlib.sha256(keys).hexdigest()
    for index in range(REQUESTS):
        slots = plan.pack(np.asarray(prepared.samples[index], dtype=np.float64))
        ciphertexts = [secret.encrypt(s, level=plan.input_level, scale=plan.input_scale) for s in slots]
        (folder / f"request-{index}").write_bytes(dump_request(plan, key_id, ciphertexts))
    return key_id


def _upload(server: Served, keys: Path) -> None:
    headers = {"Content-Type": addresses.OCTETS}
    address = f"{server.url}{addresses.keys(MODEL)}"
    httpx.put(address, content=keys.read_bytes(), headers=headers, timeout=60).raise_for_status()


def _title(clients: int) -> str:
    return f"{clients} clients, prepared requests" if clients > 1 else "1 client, prepared requests"


def _load(
    server: Served, folder: Path, key_id: str, clients: int, seconds: float, requests: int | None = None
) -> dict[str, Any]:
    """Run the load in its process; return what it tells."""
    head = (
        f"POST {addresses.predict(MODEL)} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n"
        f"Content-Type: {addresses.OCTETS}\r\n{addresses.KEY_ID_HEADER}: {key_id}\r\n"
    )
    bodies = [str(path) for path in sorted(folder.glob("request-*"))]
    load = Load(server.host, server.port, head, bodies, clients, seconds, requests)
    return _ask("benchmarks.service_load", asdict(load))


def _ask(module: str, options: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", module, json.dumps(options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment(1))
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _row(server: Served, direct: Direct, folder: Path, key_id: str, clients: int, threads: int) -> Row:
    _load(server, folder, key_id, clients, 1.0)  # once, uncounted
    direct.run(0.5, clients)
    times: list[float] = []
    ratios: list[float] = []
    totals = {"server": 0.0, "load": 0.0, "direct": 0.0}
    without, over = [], []
    other, count = 0, 0
    for _ in range(ROUNDS):
        alone = direct.run(ROUND_SECONDS, clients)
        before = cpu_seconds(server.pid)
        loaded = _load(server, folder, key_id, clients, ROUND_SECONDS)
        totals["server"] += cpu_seconds(server.pid) - before
        totals["load"] += loaded["cpu_seconds"]
        totals["direct"] += 1e3 * alone["cpu_seconds"] / alone["count"] / ROUNDS
        done = len(loaded["times_ms"])
        count += done
        times += loaded["times_ms"]
        other += sum(loaded["statuses"].values()) - done
        without.append(1e3 * alone["seconds"] / alone["count"])
        over.append(1e3 * loaded["seconds"] / done)
        ratios.append(without[-1] / over[-1])
    facts: dict[str, object] = {
        "per_second": 1e3 / statistics.median(over),
        "per_second_without_http": 1e3 / statistics.median(without),
        **_percentiles(times),
        "refused": other,
        "server_cpu_ms": 1e3 * totals["server"] / count,
        "cpu_ms_without_http": totals["direct"],
        "load_cpu_ms": 1e3 * totals["load"] / count,
    }
    return Row(
        _title(clients),
        "without HTTP",
        "",
        threads,
        statistics.median(without),
        statistics.median(over),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        ROUNDS,
        details={"ours": facts},
    )


def _memory_row(server: Served, folder: Path, key_id: str, threads: int) -> Row:
    """Return the row of the server's memory over many requests."""
    _load(server, folder, key_id, 16, 1e9, WARM)
    warm = server.memory_bytes()
    loaded = _load(server, folder, key_id, 16, 1e9, MANY - WARM)
    facts: dict[str, object] = {
        "requests": MANY,
        "memory_bytes": server.memory_bytes(),
        "memory_bytes_before": warm,
        "growth": server.memory_bytes() / warm - 1,
        **_percentiles(loaded["times_ms"]),
    }
    ms = 1e3 * loaded["seconds"] / len(loaded["times_ms"])
    reason = "memory, measured alone"
    return Row(
        f"memory over {MANY:,} requests",
        "",
        "",
        threads,
        None,
        ms,
        None,
        None,
        None,
        1,
        reason,
        {"ours": facts},
    )


def _clients_row(server: Served, folder: Path, prepared: Prepared, threads: int) -> Row:
    """Return the row of clients that encrypt and decrypt too."""
    samples = str(prepared.folder / "arrays.npz")
    asked = Clients(server.url, str(folder / "vault"), samples, CLIENTS[-1], ROUNDS * ROUND_SECONDS)
    told = _ask("benchmarks.service_clients", asdict(asked))
    done = len(told["times_ms"])
    facts: dict[str, object] = {
        "per_second": done / told["seconds"],
        **_percentiles(told["times_ms"]),
        "failed": told["failures"],
        "failure": told["failure"],
        "load_cpu_ms": 1e3 * told["cpu_seconds"] / max(done, 1),
    }
    ms = 1e3 * told["seconds"] / max(done, 1)
    title = f"{CLIENTS[-1]} clients of hetorch"
    reason = "with encryption, measured alone"
    return Row(title, "", "", threads, None, ms, None, None, None, 1, reason, {"ours": facts})


def _percentiles(times: list[float]) -> dict[str, float]:
    if not times:
        return {}
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return {"p50_ms": float(p50), "p95_ms": float(p95), "p99_ms": float(p99)}


if __name__ == "__main__":
    main()
