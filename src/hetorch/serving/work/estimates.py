"""How long a run of each model takes: the plan's prediction at first, then what was measured here."""

from __future__ import annotations

from collections.abc import Mapping

WEIGHT = 0.2
"""Weight of the latest run in the moving average; more follows changes faster, and single runs too."""


class Estimates:
    """Seconds of a run by the version of the model."""

    def __init__(self) -> None:
        self._predicted: dict[str, float] = {}
        self._measured: dict[str, float] = {}

    def predict(self, seconds: Mapping[str, float]) -> None:
        """Take the predictions for all models; what was measured of others is forgotten."""
        self._predicted = dict(seconds)
        self._measured = {model: value for model, value in self._measured.items() if model in seconds}

    def observe(self, model: str, seconds: float) -> None:
        """Take the time of one run."""
        known = self._measured.get(model, seconds)
        self._measured[model] = known + WEIGHT * (seconds - known)

    def seconds(self, model: str) -> float:
        """Return the expected time of a run."""
        return self._measured.get(model, self._predicted.get(model, 0.0))

    def is_measured(self, model: str) -> bool:
        """True if the model has run here: a prediction is for the machine that the plan was compiled for."""
        return model in self._measured
