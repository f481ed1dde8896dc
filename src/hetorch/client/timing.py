"""The times of the steps of a prediction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepTimings:
    """The seconds that each step of one request took. `server` is the time that the server says it spent (queue, parse,
    run, dump); `upload` and `download` are the rest of the time on the wire, before and after its answer began."""

    encrypt: float
    upload: float
    server: float
    download: float
    decrypt: float

    @property
    def total(self) -> float:
        """The sum of the steps, in seconds."""
        return self.encrypt + self.upload + self.server + self.download + self.decrypt
