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
    bootstrap     its place among the bootstraps of the plan and their number, such as (3, 18); None if it is none
    results       its results on the engine; they are freed after their last use unless a listener keeps them
    """

    operation: Operation
    layer: str
    level: int
    scale: float
    seconds: float
    rotations: int
    results: tuple[Any, ...]
    bootstrap: tuple[int, int] | None = None

    @property
    def place(self) -> str:
        """The layer, and for a bootstrap its place, as progress shows them: "block2.relu1, bootstrap 3 of 18"."""
        if self.bootstrap is None:
            return self.layer
        return f"{self.layer}, bootstrap {self.bootstrap[0]} of {self.bootstrap[1]}"


Listener = Callable[[Event], None]
"""A function that is called with each event, in order, on the thread that runs the plan."""
