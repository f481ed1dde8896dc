"""The stages of the compiler, and the progress that they tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hetorch.progress import Progress


class Stage(Enum):
    """The stages in their order, each with its name and the fraction of all work that is done when it begins."""

    FUSE = ("gather polynomials, fuse affine runs", 0.15)
    APPROXIMATE = ("approximate activations over calibrated ranges", 0.2)
    VARY = ("fuse again, balance sums, drop pruned elements, assign levels", 0.35)
    SEARCH = ("choose layouts, scales and the smallest secure parameters", 0.4)
    LOWER = ("lower to ciphertext operations and select the keys used", 0.88)
    VERIFY = ("run the plan on the cleartext engine with noise", 0.93)
    DONE = ("done", 1.0)

    def __init__(self, title: str, begins: float) -> None:
        self.title = title
        self.begins = begins


@dataclass(slots=True)
class Teller:
    """Reports the stage at work, of which a share is done, to `progress`. Stages that begin anew, for another plan,
    share what is left of the work."""

    progress: Progress | None
    done: float = 0.0
    _stage: Stage = Stage.FUSE
    _again: tuple[float, float] = (0.0, 0.0)
    """Where the stages began for the last time, and what was done then."""

    def __call__(self, stage: Stage, share: float = 0.0) -> None:
        if self.progress is None:
            return
        stages = list(Stage)
        following = stages[stages.index(stage) + 1] if stage is not Stage.DONE else stage
        if stages.index(stage) < stages.index(self._stage):
            self._again = stage.begins, self.done
        self._stage = stage
        begun, before = self._again
        here = stage.begins + share * (following.begins - stage.begins)
        self.done = max(self.done, before + (1 - before) * (here - begun) / (1 - begun))
        self.progress(stage.title, self.done)
