"""What a run tells while it goes on: one event after each operation, for those who ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hetorch.ir.he_operations import Operation


@dataclass(frozen=True, slots=True)
class Event:
    """One operation that has run.

    operation     the operation; its `makes` are the numbers of its results
    layer         name of the layer that it belongs to
    level, scale  of its results
    seconds       time that it took
    rotations     number of its rotations, a key switch each
    results       its results on the engine; they are freed after their last use unless a listener keeps them
    """

    operation: Operation
    layer: str
    level: int
    scale: float
    seconds: float
    rotations: int
    results: tuple[Any, ...]


Listener = Callable[[Event], None]
"""A function that is called with each event, in order, on the thread that runs the plan."""
