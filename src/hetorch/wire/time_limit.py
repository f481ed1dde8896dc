"""The header in which a server tells how long one request may take, so that a client waits as long and not less."""

from __future__ import annotations

import re

from hetorch.wire.limits import MAX_REQUEST_SECONDS, REQUEST_SECONDS

TIME_LIMIT_HEADER = "Hetorch-Request-Timeout"
"""Response header of a public plan: the server's limit for one request, in seconds."""
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")


def dump_time_limit(seconds: float) -> str:
    """Encode a server's limit for one request, at most MAX_REQUEST_SECONDS."""
    return f"{min(seconds, MAX_REQUEST_SECONDS):.3f}"


def load_time_limit(header: str) -> float:
    """Parse the header of an untrusted server; REQUEST_SECONDS if it is empty or malformed.

    The result is at most MAX_REQUEST_SECONDS, whatever the server says.
    """
    if not _SECONDS.fullmatch(header):
        return REQUEST_SECONDS
    return min(float(header), MAX_REQUEST_SECONDS)
