"""The `Server-Timing` header (W3C Server Timing): `queue;dur=0.1, parse;dur=2.5, run;dur=310.0`, in ms."""

from __future__ import annotations

import math
from collections.abc import Mapping

STEPS = ("queue", "parse", "run", "dump")
MAX_HEADER = 512


def dump_server_timing(milliseconds: Mapping[str, float]) -> str:
    """The header's value; steps in the order of STEPS, absent ones left out."""
    return ", ".join(f"{step};dur={milliseconds[step]:.3f}" for step in STEPS if step in milliseconds)


def load_server_timing(header: str) -> dict[str, float]:
    """Step to milliseconds, from a stranger's header: unknown steps and unreadable numbers are left out."""
    result: dict[str, float] = {}
    for part in header[:MAX_HEADER].split(","):
        step, _, duration = part.strip().partition(";dur=")
        try:
            value = float(duration)
        except ValueError:
            continue
        if step in STEPS and math.isfinite(value) and value >= 0:
            result[step] = value
    return result
