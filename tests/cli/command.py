"""The command line, run as a user runs it: as a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hetorch.params import ParameterSet
from tests.server.small_plan import small_plan


def hetorch(*arguments: object, vault: Path | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `hetorch arguments`; the exit code must be `code`, and there is never a traceback."""
    environment = os.environ | {"HETORCH_VAULT": str(vault) if vault is not None else "/nonexistent/vault"}
    result = subprocess.run(
        [sys.executable, "-m", "hetorch.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert result.returncode == code, (result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    return result


def refusal(*arguments: object, vault: Path | None = None) -> str:
    """Return the one line on stderr of a command that fails with exit code 1; a note on a new key may precede it."""
    result = hetorch(*arguments, vault=vault, code=1)
    lines = [
        line for line in result.stderr.strip().splitlines() if not line.startswith("hetorch: note: made")
    ]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("hetorch: error: ")
    assert result.stdout == ""
    return lines[0]


def save_secure_plan(folder: Path, seed: int = 0) -> Path:
    """Save the small plan at N = 2^13 with log2(QP) = 178, where 214 are allowed for 128 bits."""
    parameters = ParameterSet.from_bits(1 << 13, [49, 40, 40], [49])
    path = folder / f"small{seed}.hetorch"
    small_plan(seed, parameters).save(path)
    return path


@contextlib.contextmanager
def server_process(
    plans: list[Path], folder: Path, *options: str, seconds: float = 60
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `hetorch serve` as a child process until the block ends, then send SIGINT, as Ctrl-C does; gives the address
    and the process. It must be ready within `seconds`."""
    ready, log = folder / "ready", folder / "server.log"
    command = [sys.executable, "-m", "hetorch.cli.main", "serve", *map(str, plans)]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, "--port", "0", "--ready-file", str(ready), "--json", *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        deadline = time.monotonic() + seconds
        while not ready.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        address = ready.read_text().strip()
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["address"] == address
        yield address, process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
