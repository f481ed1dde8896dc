"""The numbers of a status in groups and words, as its page and `hetorch top` show them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hetorch.quantities import size_text, time_text

GROUPS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "Work": {
            "pending": "running or waiting",
            "waiting": "waiting",
            "workers": "workers",
            "queue": "places to wait",
            "jobs_queued": "jobs that wait",
            "jobs_running": "jobs that run",
            "jobs_done": "jobs with a result",
            "jobs_failed": "failed jobs",
        },
        "Keys": {
            "keys_held": "evaluation keys",
            "weights_held": "encrypted weights",
            "key_disk_bytes": "disk in use",
            "key_spare_bytes": "in memory alone",
            "key_evictions": "deleted to make room",
            "uploads": "uploads under way",
            "key_disk_failures": "failures of the key folder",
        },
        "Process": {
            "peak_memory_bytes": "highest memory",
            "worker_memory_bytes": "memory of workers",
            "connections": "connections",
            "connections_refused": "refused connections",
            "audit_lines_lost": "lost lines of the audit log",
            "up_seconds": "running for",
            "secret_modules": "modules for secret keys",
        },
    }
)
"""The groups of numbers, and the words for each number, in the order in which they are shown."""
OTHER = "Other"
"""The group of numbers that no group names."""
UNSHOWN = frozenset({"ready"})
"""Numbers that the state of the server says in words."""


def grouped(numbers: Mapping[str, float]) -> dict[str, dict[str, str]]:
    """Return the numbers that are there as text, by their words, in groups; those that no group names come last, under
    their names."""
    named = {name for words in GROUPS.values() for name in words}
    groups = {
        group: {word: number_text(name, numbers[name]) for name, word in words.items() if name in numbers}
        for group, words in GROUPS.items()
    }
    groups[OTHER] = {
        name.replace("_", " "): number_text(name, value)
        for name, value in sorted(numbers.items())
        if name not in named | UNSHOWN
    }
    return {group: words for group, words in groups.items() if words}


def number_text(name: str, value: float) -> str:
    """Return a number as text: a size or a time where the end of its name says so."""
    if name.endswith("_bytes"):
        return size_text(value)
    if name.endswith("_seconds"):
        return seconds_text(value)
    return f"{value:,.0f}" if value == round(value) else f"{value:,.3g}"


def seconds_text(seconds: float) -> str:
    """Return a time as text: with three digits below a minute, else with its two largest units."""
    if seconds < 60:
        return time_text(seconds)
    minutes = int(seconds // 60)
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
