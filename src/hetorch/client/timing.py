"""How long each step of a prediction took, in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepTimings:
    """One sample. `server` is what the server says it spent (queue, parse, run, dump); `upload` and `download` are the
    rest of the time on the wire, before and after its answer began."""

    encrypt: float
    upload: float
    server: float
    download: float
    decrypt: float

    @property
    def total(self) -> float:
        """Sum of the steps, in seconds."""
        return self.encrypt + self.upload + self.server + self.download + self.decrypt
