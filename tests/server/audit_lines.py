"""The lines of an audit log, which a server writes behind its answers: perhaps a moment after a client has those."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 20.0
"""Seconds that a line may come behind its answer; on an idle machine it takes less than a millisecond."""


Line = dict[str, Any]


def audit_lines(path: Path, count: int, wanted: Callable[[Line], bool] = lambda line: True) -> list[Line]:
    """Return the lines of an audit log, once at least `count` of them are wanted.

    Raises AssertionError with what is there if they do not come.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        text = path.read_text()
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        if sum(map(wanted, lines)) >= count:
            return lines
        assert time.monotonic() < deadline, f"{count} lines were expected in: {text}"
        time.sleep(0.005)
