"""The row of a benchmark's table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table. Times are medians in milliseconds; `ratio` is theirs / ours, with its range over all turns.

    A side that did not run has no time, and the row has a `reason`. A row of ours alone has an empty `peer`, null in
    JSON. `details` holds further measurements by side.
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
        """Return the row as a JSON object; `reason` and `details` are left out where they are empty."""
        data = asdict(self)
        if not self.peer:
            data["peer"] = data["peer_version"] = None
        for name in ("reason", "details"):
            if not data[name]:
                del data[name]
        return data
