"""The worker's side of the protocol: one JSON object a line in, one out.

It runs in the peers' environments, so it needs no more than the standard library, and Python 3.10, the oldest of them.
The requests and their answers are

    {"do": "setup", "options": {...}}                 -> {"value": facts}
    {"do": "time", "operation": name, "calls": n}     -> {"value": [milliseconds, ...]}
    {"do": "call", "operation": name, "argument": x}  -> {"value": its result}
    {"do": "peak"}                                    -> {"value": largest memory so far, in bytes}

or {"error": text} after a failure. Libraries may print to standard output: the answers go to a descriptor of their own,
and descriptor 1 becomes standard error.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

clock = time.process_time if os.environ.get("BENCH_CLOCK") == "processor" else time.perf_counter
"""The clock of all measurements, in seconds: with BENCH_CLOCK=processor in the environment, the time that processors
spent on all threads of the process, which other work on a shared machine lengthens little."""


class Operation:
    """An operation to be timed. Only `run` is timed, which does `count` operations; `free` then takes its result."""

    def __init__(
        self, run: Callable[[], Any], free: Callable[[Any], Any] | None = None, count: int = 1
    ) -> None:
        self.run = run
        self.free = free
        self.count = count

    def times(self, calls: int) -> list[float]:
        """Return the milliseconds of one operation in each of `calls` runs."""
        times = []
        for _ in range(calls):
            start = clock()
            result = self.run()
            times.append(1e3 * (clock() - start) / self.count)
            if self.free is not None:
                self.free(result)
            del result
        return times


class Session:
    """A worker after its set-up: operations to be timed, functions to be called, and facts for the row."""

    def __init__(
        self,
        operations: dict[str, Operation],
        calls: dict[str, Callable[[Any], Any]] | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.operations = operations
        self.calls = calls or {}
        self.facts = facts or {}


def peak_bytes() -> int:
    """Return the largest memory of this process so far; ru_maxrss, which inherits the parent's, is the last resort."""
    try:
        with open("/proc/self/status") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(setup: Callable[[dict[str, Any]], Session]) -> None:
    """Answer the requests on standard input until it ends."""
    cores = os.environ.get("BENCH_CORES")
    if cores:  # threads that libraries start later inherit it
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    session: Session | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "setup":
                session = setup(request["options"])
                value: Any = session.facts
            elif request["do"] == "peak":
                value = peak_bytes()
            elif session is None:
                raise RuntimeError("not set up")
            elif request["do"] == "time":
                value = session.operations[request["operation"]].times(request["calls"])
            else:
                value = session.calls[request["operation"]](request["argument"])
            answer = {"value": value}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
