"""The outcome of a call under a package; TenSEAL's calls are made in a process of their own, which some of them end.

Run as a program, this is that process: it reads numbers of calls (calls.py), one a line, and answers each outcome as a
line of JSON.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ENDED = "TenSEAL's process ends"
SECONDS = 20
"""Longest time of a call under TenSEAL, after which its process ends; usual ones take less than half a second."""
MEMORY = 8 << 30
"""Bytes of address space that TenSEAL's process may have; calls that ask for more get a MemoryError or end it."""
ROOT = Path(__file__).resolve().parents[2]


def outcome(world: Any, call: Callable[[Any], Any]) -> str:
    """Return the type and text of the exception, without C++ signatures, addresses and the packages' names; or ok."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(world)
    except Exception as error:
        text = str(error).split(" The following argument types")[0]
        text = re.sub(r"<class '[^']*'>", "<class>", text)
        if re.search(r"has no len\(\)|len\(\) of", text):
            text = "no length"
        return f"{type(error).__module__}.{type(error).__name__}: {text}".removeprefix("builtins.")
    return "ok"


class TensealProcess:
    """TenSEAL in a process of its own, which is started anew for the next call when one ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> TensealProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def outcome(self, number: int) -> str:
        """Return the outcome of the call of that number, or ENDED.

        Calls that end the process may have been damaged by those before, so that they are made once more by themselves.
        """
        answer = self._ask(number)
        return self.outcome_alone(number) if answer == ENDED else answer

    def outcome_alone(self, number: int) -> str:
        """Return the outcome of the call as the first one in a new process."""
        self.close()
        return self._ask(number)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, number: int) -> str:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.tenseal.outcomes"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=ROOT,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.close()
            return ENDED
        return str(json.loads(line))


def main() -> None:
    """Answer calls under TenSEAL until the input ends."""
    import tenseal

    from tests.tenseal.calls import calls
    from tests.tenseal.world import World

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # TenSEAL prints warnings
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    world, every = World(tenseal), [call for _, call in calls()]
    for line in sys.stdin:
        signal.alarm(SECONDS)
        answer = outcome(world, every[int(line)])
        signal.alarm(0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
