"""The choice among trials of which some are not precise enough, on stand-ins for trials."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from hetorch.compiler.search import precise_trial
from hetorch.errors import InfeasibleError


class Trial:
    """A trial of so many seconds, whose noise is predicted when it is asked for."""

    def __init__(self, noise: float, seconds: float, asked: Counter[float]) -> None:
        self._noise, self.seconds, self._asked = noise, seconds, asked

    @property
    def noise(self) -> float:
        self._asked[self._noise] += 1
        return self._noise


@pytest.mark.parametrize("precise", [0.55, 0.0])
def test_after_a_miss_only_trials_with_less_noise_are_tried(
    precise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The noise of a network with hundreds of bootstraps takes long to predict, so it is predicted once."""
    tried: list[float] = []
    asked: Counter[float] = Counter()
    trials: Any = [Trial(noise, seconds, asked) for seconds, noise in enumerate((1.0, 0.9, 0.7, 0.6, 0.5))]

    def with_errors(request: object, trial: Any, inputs: object) -> object:
        tried.append(trial._noise)
        if trial._noise > precise:
            raise InfeasibleError("not precise enough")
        return trial

    monkeypatch.setattr(precise_trial, "_with_errors", with_errors)
    monkeypatch.setattr(precise_trial, "few_keys", lambda request: 0)
    monkeypatch.setattr(
        precise_trial, "best_trial", lambda request, left, few: min(left, key=lambda one: one.seconds)
    )
    request: Any = None
    if precise:
        assert precise_trial.first_precise(request, trials, np.zeros((1, 1))) is trials[4]
    else:
        with pytest.raises(InfeasibleError, match="not precise enough"):
            precise_trial.first_precise(request, trials, np.zeros((1, 1)))
    # Each is at most LESS_NOISE times as noisy as the one before.
    assert tried == [1.0, 0.7, 0.5] and set(asked.values()) == {1}
