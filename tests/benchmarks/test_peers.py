"""The harness of the benchmarks, with workers that stand in for peers; none is installed here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.ledger import Ledger
from benchmarks.network_turns import percentiles
from benchmarks.peers import environment, session
from benchmarks.peers.environment import PeerMissingError, interpreter
from benchmarks.peers.recipes import RECIPES, Recipe
from benchmarks.peers.worker import PeerFailedError, Worker, threads_environment
from benchmarks.row import Row
from benchmarks.turns import take_turns

COLUMNS = {
    *("name", "peer", "peer_version", "threads", "theirs_ms", "ours_ms"),
    *("ratio", "ratio_min", "ratio_max", "repetitions"),
}
WORKER = """
import os, sys, time
from benchmarks.peers.session import Operation, Session, serve

def die():
    os._exit(3)

def fail():
    raise ValueError("no such key")

def setup(options):
    print("noise on standard output")
    operations = {
        "nap": Operation(lambda: time.sleep(options["nap"])),
        "die": Operation(die),
        "fail": Operation(fail),
        "hang": Operation(lambda: time.sleep(60)),
    }
    return Session(operations, {"double": lambda x: 2 * x}, {"cores": len(os.sched_getaffinity(0))})

serve(setup)
"""


def worker(folder: Path, nap: float = 0.002) -> Worker:
    script = folder / "worker.py"
    script.write_text(WORKER)
    worker = Worker([sys.executable, script], "Peer", "1.2", threads_environment(1), folder / "worker.log")
    return worker.set_up({"nap": nap}, seconds=60)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Worker, Worker]]:
    """Start their worker and ours; theirs naps five times as long."""
    with ExitStack() as stack:
        yield (
            stack.enter_context(worker(tmp_path, 0.01)),
            stack.enter_context(worker(tmp_path, 0.002)),
        )


def test_two_workers_take_turns_and_give_a_row(pair: tuple[Worker, Worker]) -> None:
    theirs, ours = pair
    turns: list[float] = []
    row = take_turns("nap", theirs, ours, "nap", 1, seconds=0.1, their_turns=turns)
    data = row.to_json()
    assert set(data) == COLUMNS
    assert (row.peer, row.peer_version, row.repetitions) == ("Peer", "1.2", len(turns))
    assert row.theirs_ms is not None and row.theirs_ms >= 10
    assert row.ours_ms is not None and row.ours_ms >= 2
    assert row.ratio == row.theirs_ms / row.ours_ms
    assert row.ratio_min is not None and row.ratio_max is not None
    assert row.ratio_min <= row.ratio_max
    assert json.loads(json.dumps(data)) == data


def test_a_run_of_several_counts_as_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([1.0, 3.0, 10.0, 14.0])
    monkeypatch.setattr(session, "clock", lambda: next(ticks))
    freed: list[str] = []
    assert session.Operation(lambda: "result", freed.append, count=10).times(2) == [200.0, 400.0]
    assert freed == ["result", "result"]


def test_a_worker_is_bound_to_its_cores_and_its_noise_is_no_answer(pair: tuple[Worker, Worker]) -> None:
    theirs, _ = pair
    assert theirs.facts == {"cores": 1}
    assert theirs.call("double", 21) == 42
    assert theirs.peak_bytes() > 1 << 20


def test_a_missing_peer_gives_no_ratio_and_the_reason(pair: tuple[Worker, Worker]) -> None:
    _, ours = pair
    row = take_turns("nap", None, ours, "nap", 1, peer="Gone", reason="not installed: no wheel", seconds=0.1)
    data = row.to_json()
    assert set(data) == COLUMNS | {"reason"}
    assert data["ratio"] is None and data["theirs_ms"] is None
    assert data["reason"] == "not installed: no wheel"
    assert row.ours_ms is not None and row.ours_ms >= 2


@pytest.mark.parametrize(
    ("operation", "reason"), [("die", "exit code 3"), ("fail", "ValueError: no such key")]
)
def test_a_peer_that_fails_leaves_a_row_with_the_reason(tmp_path: Path, operation: str, reason: str) -> None:
    with worker(tmp_path) as theirs, worker(tmp_path) as ours:
        # Ours must not fail in the same way: its operation of that name is the nap.
        class Steady:
            def times(self, _: str, calls: int = 1) -> list[float]:
                return ours.times("nap", calls)

        row = take_turns("nap", theirs, Steady(), operation, 1, seconds=0.1)  # type: ignore[arg-type]
    assert row.ratio is None
    assert reason in row.reason
    assert row.ours_ms is not None and row.ours_ms >= 2


def test_a_worker_that_hangs_is_ended(tmp_path: Path) -> None:
    with worker(tmp_path) as ours:
        with pytest.raises(PeerFailedError, match="no answer to 'time' within"):
            ours.times("hang", seconds=0.2)
        with pytest.raises(PeerFailedError):
            ours.times("nap")


def test_our_own_failure_is_a_row_and_the_run_goes_on(tmp_path: Path) -> None:
    ledger = Ledger("t", tmp_path / "rows.json", None)

    def fail() -> None:
        raise PeerFailedError("the worker ended (exit code -9)")

    ledger.guard("rotate", 2, fail)
    ledger.guard("multiply", 2, lambda: None)
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert row["reason"] == "hetorch: the worker ended (exit code -9)"
    assert (row["name"], row["threads"], row["ratio"], row["ours_ms"]) == ("rotate", 2, None, None)


def test_every_row_is_in_the_files_at_once(tmp_path: Path) -> None:
    files = tmp_path / "rows.json", tmp_path / "rows.md"
    ledger = Ledger("Some rows", *files)
    row = Row("rotate", "Peer", "1.2", 1, 20.0, 2.0, 10.0, 9.0, 11.0, 7)
    gone = Row("encode", "Gone", "", 1, None, 2.0, None, None, None, 5, "not installed: no | wheel")
    detailed = replace(gone, details={"ours": {"key_bytes": 2_500_000, "worst_error": 1.25e-5}})
    for count, added in enumerate((row, gone, detailed), 1):
        ledger.add(added)
        data = json.loads(files[0].read_text())
        assert len(data["rows"]) == count
        assert set(data["machine"]) == {"cpu", "isa", "cores", "versions"}
    text = files[1].read_text()
    assert "| rotate | Peer 1.2 | 1 | 20.000 | 2.000 | 10.0 | 9.0-11.0 | 7 |" in text
    assert "| encode | Gone | 1 | not installed: no / wheel | 2.000 | - |  | 5 |" in text
    assert "| encode | 1 | hetorch | 2.5 M | 1.25e-05 |" in text
    assert not list(tmp_path.glob("*.part"))


def recipe(**changes: object) -> Recipe:
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return replace(Recipe("peer", "Peer", "pip", (here,), (), "import json"), **changes)  # type: ignore[arg-type]


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    python = interpreter(recipe(), tmp_path)
    assert environment.version_in(python, "no-such-package") == ""
    first = (tmp_path / "peer" / "made").stat().st_mtime_ns
    assert interpreter(recipe(), tmp_path) == python
    assert (tmp_path / "peer" / "made").stat().st_mtime_ns == first


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pythons": ("2.5",)}, "needs Python 2.5, which was not found"),
        ({"check": "import hetorch_no_such_module"}, "No module named 'hetorch_no_such_module'"),
    ],
)
def test_what_cannot_be_installed_says_why(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    for _ in range(2):  # the second time from the stamp
        with pytest.raises(PeerMissingError, match="not installed: ") as raised:
            interpreter(recipe(**changes), tmp_path)
        assert reason in str(raised.value)


def test_an_installation_that_failed_is_tried_again_after_a_while(tmp_path: Path) -> None:
    wanted = tmp_path / "there"
    later = recipe(check=f"open({str(wanted)!r})")
    with pytest.raises(PeerMissingError):
        interpreter(later, tmp_path)
    wanted.touch()
    with pytest.raises(PeerMissingError):
        interpreter(later, tmp_path)
    stamp = tmp_path / "peer" / "made"
    old = stamp.stat().st_mtime - 2 * environment.RETRY_SECONDS
    os.utime(stamp, (old, old))
    assert interpreter(later, tmp_path).exists()


def test_the_percentiles_of_few_values() -> None:
    assert percentiles([3.0, 1.0, 2.0]) == {"p50_ms": 2.0, "p95_ms": 3.0}
    assert percentiles([float(i) for i in range(1, 101)]) == {"p50_ms": 50.5, "p95_ms": 95.0}


def test_every_peer_has_a_program_that_compiles() -> None:
    folder = Path(environment.__file__).parent
    for name in RECIPES:
        programs = list(folder.glob(f"{name}_*.py"))
        assert programs, name
        for program in programs:
            compile(program.read_text(), str(program), "exec")


def test_the_benchmarks_tell_their_options() -> None:
    root = Path(environment.__file__).parents[2]
    for name in ("engine", "models", "kernels", "roofline"):
        command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, env=os.environ)
        for option in ("--json", "--markdown", "--only"):
            assert option in shown.stdout
        assert ("--threads" in shown.stdout) == (name in ("engine", "models"))
