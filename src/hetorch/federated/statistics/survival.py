"""The survival curve of Kaplan and Meier on a grid of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hetorch.errors import InputError
from hetorch.federated.statistics.question import FloatArray, Question, Ranges, Sums, Values


@dataclass(frozen=True)
class SurvivalAnswer:
    """The curve at each time of the grid (times,); NaN from the time on at which fewer than `least_count` are at risk.

    Args:
        times: the grid.
        at_risk: the records whose time is this one or a later one.
        events: the events at this time.
        censored: the records that end at this time without one.
        survival: the product of 1 - events / at_risk up to this time (Kaplan and Meier 1958).
        standard_error: of `survival`, by Greenwood's formula.
    """

    times: FloatArray
    at_risk: FloatArray
    events: FloatArray
    censored: FloatArray
    survival: FloatArray
    standard_error: FloatArray


@dataclass(frozen=True)
class Survival(Question):
    """Asks for the curve of Kaplan and Meier.

    Args:
        time: the column with the time of the event or, without one, of the last observation.
        event: the column that is 1 where the event was observed, and 0 where not.
        times: the grid, ascending from above 0. Times between two of them count as the later one, so a grid with all
            times of events gives the curve itself; those beyond the last one are at risk to the end.
    """

    time: str
    event: str
    times: Sequence[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", tuple(float(time) for time in self.times))

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of times and that of events."""
        return (self.time, self.event)

    @property
    def size(self) -> int:
        """The number of records, and events and censored ones at each time."""
        return 1 + 2 * len(self.times)

    @property
    def touched(self) -> int:
        """Two: the number, and one time."""
        return 2

    @property
    def description(self) -> str:
        """The figures that the parties learn, in words."""
        return (
            f"numbers of events {self.event!r} and of other ends, hence the survival curve, at {len(self.times)} times "
            f"{self.time!r} from {self.times[0]:g} to {self.times[-1]:g}"
        )

    def check(self, ranges: Ranges) -> None:
        """Raise InputError unless the times are finite, above 0, and ascend."""
        times = np.array([0.0, *self.times])
        if len(times) < 2 or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
            raise InputError(
                f"a survival curve needs times that ascend from above 0, got {len(self.times)} of them"
            )

    def sums(self, values: Values, ranges: Ranges) -> FloatArray:
        """Return the number of records, the events and the other ends at each time."""
        time, event = values[self.time], values[self.event]
        if not np.isin(event, (0, 1)).all():
            raise InputError(f"the column {self.event!r} must be 0 or 1")
        if (time < 0).any():
            raise InputError(f"the column {self.time!r} has a negative time")
        places = np.searchsorted(np.array(self.times), time, side="left")
        ends = [np.bincount(places[event == kind], minlength=len(self.times) + 1)[:-1] for kind in (1, 0)]
        return np.concatenate([[len(time)], *ends]).astype(np.float64)

    def answer(self, sums: Sums, ranges: Ranges) -> SurvivalAnswer:
        """Return the curve, up to where too few are at risk."""
        count, (events, censored) = sums.values[0], sums.values[1:].reshape(2, -1)
        ended = np.concatenate([[0.0], np.cumsum(events + censored)[:-1]])
        at_risk = count - ended
        with np.errstate(divide="ignore", invalid="ignore"):
            survival = np.cumprod(np.where(at_risk > 0, np.clip(1 - events / at_risk, 0, 1), 1.0))
            hazard = np.where(events > 0, events / (at_risk * (at_risk - events)), 0.0)
            error = np.where(survival > 0, survival * np.sqrt(np.cumsum(hazard)), np.nan)
        shown = np.logical_and.accumulate((at_risk > 0) & ~np.vectorize(sums.too_few, otypes=[bool])(at_risk))
        curves = (np.where(shown, curve, np.nan) for curve in (at_risk, events, censored, survival, error))
        return SurvivalAnswer(np.array(self.times), *curves)
