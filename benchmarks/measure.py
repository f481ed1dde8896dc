"""A line of a benchmark's table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. Times are medians in milliseconds; ratio = theirs / ours, min and max over the pairs.

    A side that did not run has no time, and the row a `reason`; a row of ours alone has an empty `peer`, null in
    JSON. `details` is what else was measured, by side.
    """

    name: str
    peer: str
    peer_version: str
    threads: int
    theirs_ms: float | None
    ours_ms: float | None
    ratio: float | None
    ratio_min: float | None
    ratio_max: float | None
    repetitions: int
    reason: str = ""
    details: dict[str, dict[str, object]] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The row as one JSON object; `reason` only where the peer did not run, `details` only where there are any."""
        data = asdict(self)
        if not self.peer:
            data["peer"] = data["peer_version"] = None
        for name in ("reason", "details"):
            if not data[name]:
                del data[name]
        return data
