"""The demonstration's side of its child processes: hospitals and aggregators."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from hetorch.demo.child import python_child, tail, wait_for_file
from hetorch.demo.federated.records import Hospital
from hetorch.errors import HetorchError
from hetorch.federated import Roster
from hetorch.federated.roster_file import dump_roster

START_SECONDS = 300.0
"""Longest time for the start of a process, in seconds."""
EVENT_SECONDS = 900.0
"""Longest wait for an event of a hospital, in seconds; longer than any step of a round."""
POLL_SECONDS = 0.2
"""Wait for one hospital before the others are looked at, in seconds; one that has ended is told as much later."""
STEP_SECONDS = 300.0
"""Longest time of a step of a round, in seconds. The aggregator sees a killed hospital's connection close, and does not
wait for it; this is for one that hangs."""

Event = Mapping[str, Any]


class HospitalProcess:
    """One hospital's process. `index` is its place among the four; `identity` is its public key."""

    def __init__(self, name: str, index: int, process: subprocess.Popen[str], log: Path) -> None:
        self.name = name
        self.index = index
        self.identity = b""
        self._process = process
        self._log = log
        self._events: queue.Queue[Event] = queue.Queue()
        assert process.stdout is not None
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def tell(self, do: str, **values: object) -> None:
        """Send a command; HetorchError if the process has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **values}) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None

    def hear(self, *expected: str) -> Event:
        """Wait for the next event, as hear_all does."""
        return hear_all([self], *expected)[0]

    def next_event(self, seconds: float) -> Event | None:
        """Return the next event, or None if there is none in this time; HetorchError if the process has ended."""
        with suppress(queue.Empty):
            return self._events.get(timeout=seconds)
        if self._process.poll() is not None:
            raise self._ended()
        return None

    def check(self, event: Event, expected: Sequence[str]) -> Event:
        """Return the event; HetorchError unless it is one of the expected ones."""
        if event["event"] not in expected:
            raise HetorchError(
                f"the hospital {self.name} should have {' or '.join(expected)}, and says {event['event']}: "
                f"{event.get('message', tail(self._log))}"
            )
        return event

    def kill(self) -> None:
        """Kill the process as `kill -9` does: it can do nothing before its end."""
        self._process.kill()
        self._process.wait()

    def _ended(self) -> HetorchError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        return HetorchError(
            f"the process of the hospital {self.name} ended with code {self._process.returncode}: {tail(self._log)}"
        )

    def _read(self, lines: IO[str]) -> None:
        with suppress(ValueError, OSError):  # the pipe is closed at the end
            for line in lines:
                self._events.put(json.loads(line))


def hear_all(members: Sequence[HospitalProcess], *expected: str) -> list[Event]:
    """Wait for the next event of each hospital.

    Raises:
        HetorchError: an event is none of the expected ones, the process of one of them ends, or nothing comes.
    """
    heard: dict[str, Event] = {}
    deadline = time.monotonic() + EVENT_SECONDS
    while len(heard) < len(members):
        for member in members:
            if member.name in heard:
                continue
            event = member.next_event(POLL_SECONDS)
            if event is not None:
                heard[member.name] = member.check(event, expected)
            elif time.monotonic() > deadline:
                raise HetorchError(f"the hospital {member.name} said nothing for {EVENT_SECONDS:g} s")
    return [heard[member.name] for member in members]


@contextmanager
def hospital_process(hospital: Hospital, index: int, folder: Path) -> Iterator[HospitalProcess]:
    """Run a hospital's process until the block ends. It gets a file with its own records and nothing of the others."""
    own = folder / hospital.name
    own.mkdir()
    np.savez(own / "records.npz", features=hospital.train.features, labels=hospital.train.labels)
    log = own / "log"
    arguments = [str(own / "records.npz")]
    with python_child("hetorch.demo.federated.hospital", arguments, log, commands=True) as child:
        yield HospitalProcess(hospital.name, index, child, log)


@contextmanager
def aggregator_process(roster: Roster, folder: Path) -> Iterator[str]:
    """Run an aggregator for this roster until the block ends; gives its address."""
    own = folder / f"aggregator-{roster.digest.hex()[:8]}"
    own.mkdir()
    file, ready, log = own / "roster.json", own / "ready", own / "log"
    file.write_text(dump_roster(roster))
    arguments = [str(file), str(ready), str(STEP_SECONDS)]
    with python_child("hetorch.federated.http.serve_rounds", arguments, log, commands=True) as child:
        yield wait_for_file(ready, child, log, START_SECONDS)
