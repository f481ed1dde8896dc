"""The protocol by which the service counts and measures; `hetorch.server` keeps and shows the numbers."""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """A recipient of numbers; safe to use from many threads. Labels are few: a model's name, never a key id."""

    def count(self, name: str, **labels: str) -> None:
        """Count one event."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Record one measurement, such as seconds."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a number that goes up and down."""
