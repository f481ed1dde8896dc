"""One computation that the service takes: what is computed, for whom, and until when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hetorch.serving.models import ServedModel

Tell = Callable[[int, str], None]
"""A function that is called with the number of operations that have run and the name of the layer of the last one."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order to compute.

    Args:
        model: the model.
        key_id: the id of the evaluation keys.
        keys: their file.
        weights: the file of the encrypted weights; None for a model whose weights are in clear.
        request: the predict request.
        lane: who asks; lanes take turns.
        timeout: seconds for the computation, its wait included; None for no limit.
        long: a computation that nobody waits for, such as a job that is not a followed one; it leaves a worker to the
            others.
    """

    model: ServedModel
    key_id: str
    keys: Path
    weights: Path | None
    request: bytes | bytearray
    lane: str
    timeout: float | None
    long: bool = False


@dataclass(frozen=True, slots=True)
class Computed:
    """The response to a predict request, and the milliseconds of each step of its computation."""

    response: bytes
    milliseconds: dict[str, float]


@dataclass(slots=True, eq=False)
class Computation:
    """An order that waits or runs. `submitted` is the loop's time when it came, `starts` the number of workers that
    began it."""

    order: Order
    future: asyncio.Future[Computed]
    submitted: float
    tell: Tell | None = None
    starts: int = 0
    waited: float = 0.0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)
