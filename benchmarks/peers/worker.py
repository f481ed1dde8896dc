"""The host's side of the protocol: a worker process in the environment of a peer, or in ours."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.peers.environment import HOME, ROOT, PeerMissingError, interpreter, version_in
from benchmarks.peers.recipes import RECIPES


class PeerFailedError(Exception):
    """A worker that died, took too long or reported an error; the message is the reason in its row."""


class Worker:
    """A process that answers one request at a time by the protocol of benchmarks.peers.session."""

    def __init__(
        self,
        command: Sequence[str | Path],
        title: str,
        version: str,
        environment: Mapping[str, str],
        log: Path,
        root: Path = ROOT,
    ) -> None:
        self.title, self.version, self.facts = title, version, dict[str, Any]()
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=root,
            env={**os.environ, **environment},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def set_up(self, options: Mapping[str, Any], *, seconds: float = 600) -> Worker:
        """Make keys and inputs; afterwards `facts` has what the worker reports of them."""
        self.facts = self._ask({"do": "setup", "options": options}, seconds)
        return self

    def times(self, operation: str, calls: int = 1, *, seconds: float = 300) -> list[float]:
        """Return the milliseconds of each of `calls` runs, measured in the worker."""
        answer = self._ask({"do": "time", "operation": operation, "calls": calls}, seconds)
        return [float(value) for value in answer]

    def call(self, operation: str, argument: object, *, seconds: float = 600) -> Any:
        """Return the result of the worker's function of that name for a JSON argument."""
        return self._ask({"do": "call", "operation": operation, "argument": argument}, seconds)

    def peak_bytes(self) -> int:
        """Return the largest memory of the process so far."""
        return int(self._ask({"do": "peak"}, 60))

    def close(self) -> None:
        """End the process; it is killed if it does not end when its input does."""
        if self._process.stdin and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except OSError:
                self._process.kill()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def _ask(self, request: Mapping[str, Any], seconds: float) -> Any:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._lines.get(timeout=seconds)
        except (OSError, ValueError):
            raise PeerFailedError(self._death()) from None
        except queue.Empty:
            self._process.kill()
            raise PeerFailedError(f"no answer to {request['do']!r} within {seconds:.0f} s") from None
        if not line:
            raise PeerFailedError(self._death())
        answer = json.loads(line)
        if "error" in answer:
            raise PeerFailedError(str(answer["error"]))
        return answer["value"]

    def _death(self) -> str:
        try:
            code: int | str = self._process.wait(5)
        except subprocess.TimeoutExpired:
            code = "none yet"
        return f"the worker ended (exit code {code})"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


def threads_environment(threads: int, root: Path = ROOT) -> dict[str, str]:
    """Return the environment variables that limit the threads of the libraries, and name the cores of the worker.

    A library without such a variable (TenSEAL) counts the cores that it is bound to.
    """
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    count = str(threads)
    names = (
        "HETORCH_NUM_THREADS",
        "OMP_NUM_THREADS",
        "GOMAXPROCS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
    )
    return {name: count for name in names} | {
        "BENCH_CORES": ",".join(map(str, cores)),
        "PYTHONPATH": str(root),
    }


def start(peer: str, module: str, threads: int) -> Worker:
    """Start a worker of `benchmarks.peers.<module>` in the environment of `peer`; PeerMissingError if there is none."""
    recipe = RECIPES[peer]
    python = interpreter(recipe)
    version = version_in(python, recipe.distribution)
    if not version:
        raise PeerMissingError(f"not installed: {recipe.distribution} has no version")
    log = HOME / "logs" / f"{module}-{peer}-{threads}.log"
    return Worker(
        [python, "-m", f"benchmarks.peers.{module}"], recipe.title, version, threads_environment(threads), log
    )


def start_ours(module: str, threads: int) -> Worker:
    """Start a worker of `benchmarks.peers.<module>` for hetorch, in the environment of this process."""
    from importlib.metadata import version

    log = HOME / "logs" / f"{module}-{threads}.log"
    command = [sys.executable, "-m", f"benchmarks.peers.{module}"]
    return Worker(command, "hetorch", version("hetorch"), threads_environment(threads), log)


def start_other_version(module: str, threads: int, root: Path) -> Worker:
    """Start a worker of `benchmarks.peers.<module>` of another checkout of hetorch, set up by its own scripts/setup."""
    python = root / ".venv" / "bin" / "python"
    if not python.exists():
        raise PeerMissingError(f"{root} has no .venv; run its scripts/setup")
    log = HOME / "logs" / f"{module}-other-{threads}.log"
    command = [str(python), "-m", f"benchmarks.peers.{module}"]
    return Worker(command, "the other version", root.name, threads_environment(threads, root), log, root)
