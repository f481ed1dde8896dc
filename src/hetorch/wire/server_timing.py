"""The `Server-Timing` header (W3C Server Timing): `queue;dur=0.1, parse;dur=2.5, run;dur=310.0`, in milliseconds."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hetorch.wire.limits import MAX_SERVER_TIMING_LENGTH

STEPS = ("queue", "parse", "run", "dump")
"""The steps of a prediction on the server, in order: waiting, parsing, computing, encoding the response."""


def dump_server_timing(milliseconds: Mapping[str, float]) -> str:
    """Encode the times of steps; steps are in the order of STEPS, and absent ones are left out."""
    return ", ".join(f"{step};dur={milliseconds[step]:.3f}" for step in STEPS if step in milliseconds)


def load_server_timing(header: str) -> dict[str, float]:
    """Parse a stranger's header to milliseconds by step; unknown steps and unreadable numbers are left out."""
    result: dict[str, float] = {}
    for part in header[:MAX_SERVER_TIMING_LENGTH].split(","):
        step, _, duration = part.strip().partition(";dur=")
        try:
            value = float(duration)
        except ValueError:
            continue
        if step in STEPS and math.isfinite(value) and value >= 0:
            result[step] = value
    return result
