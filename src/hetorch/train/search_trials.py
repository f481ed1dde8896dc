"""The accuracy that degrees cost: networks of given degrees, trained for a few epochs and judged on held-out data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import nn

from hetorch.progress import Progress
from hetorch.train.augment import augmented
from hetorch.train.epochs import Data, Settings, run_epochs
from hetorch.train.objective import Objective, outputs_of
from hetorch.train.prepare import copied
from hetorch.train.scores import right_classes
from hetorch.train.search_assignment import Assignment, assigned, settle
from hetorch.train.training_data import Batch, Batches, read_first

MOST_BATCHES = 100
"""Most batches in an epoch of a trial. Raised, trials are nearer to the whole training, and take longer."""
LEARNING_RATE, WEIGHT_DECAY, CLIP = 2e-3, 1e-4, 1.0
"""The settings of AdamW and the largest norm of the gradient, as hetorch.train.fine_tune has them."""
SETTLED_ON = 256
"""Number of changed samples over whose ranges activations become polynomials, before they train. Raised, fewer values
of the first batches are outside."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A network that was trained for a few epochs: its distance from the teacher, and its accuracy if known."""

    model: nn.Module
    distance: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Trials:
    """Trains networks, each on the same batches in the same order.

    `generator` is that of the data's order; `seed` seeds it, and dropout and changed inputs.
    """

    data: Data
    objective: Objective
    epochs: int
    seed: int
    generator: torch.Generator

    def exact(self, prepared: nn.Module) -> Trial:
        """Train a prepared model with exact activations, so that it gets used to average pools and records ranges."""
        return self._run(
            prepared, Settings(self.epochs, self.epochs, LEARNING_RATE, WEIGHT_DECAY, CLIP, self.epochs)
        )

    def __call__(self, base: nn.Module, degrees: Assignment) -> Trial:
        """Train a copy of `base` whose activations have these degrees."""
        if all(degree is None for degree in degrees.values()):
            return self.exact(base)
        model = assigned(base, degrees)
        torch.manual_seed(self.seed)
        self.generator.manual_seed(self.seed)
        first = Batch(read_first(self.data.train, SETTLED_ON), None)
        settle(model, first if self.data.augment is None else augmented(self.data.augment, first))
        return self._run(model, Settings(self.epochs, 0, LEARNING_RATE, WEIGHT_DECAY, CLIP, self.epochs))

    def accuracy_of_teacher(self) -> float | None:
        """Return the share of right classes of the model before on the held-out data, if there are such data."""
        right, count = 0, 0
        with torch.no_grad():
            for batch in self.data.judge or ():
                correct = right_classes(outputs_of(self.objective.teacher, batch), batch.labels)
                if correct is None:
                    return None
                right, count = right + correct, count + len(batch)
        return right / count if count else None

    def _run(self, model: nn.Module, settings: Settings) -> Trial:
        model = copied(model)
        torch.manual_seed(self.seed)
        self.generator.manual_seed(self.seed)
        _, best, weights = run_epochs(model, self.data, self.objective, settings, _silent)
        model.load_state_dict(weights)
        return Trial(model.eval(), best.judged, best.accuracy)


def losses_of(
    trials: Trials, base: nn.Module, choices: dict[str, tuple[int | None, ...]], tell: Progress
) -> dict[tuple[str, int | None], float]:
    """Return the distance that each degree of each activation adds while all others are exact; 0 or more."""
    least = trials.exact(base).distance
    losses: dict[tuple[str, int | None], float] = {}
    total = sum(len(degrees) for degrees in choices.values())
    for path, degrees in choices.items():
        for degree in degrees:
            tell(f"degree {degree} of {path}", len(losses) / total)
            own = {other: degree if other == path else None for other in choices}
            more = 0.0 if degree is None else trials(base, own).distance - least
            losses[path, degree] = max(more, 0.0)
    return losses


@dataclass(frozen=True, slots=True)
class _First:
    """The first MOST_BATCHES of a source of batches."""

    source: Iterable[Any]

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.source), MOST_BATCHES)

    def __len__(self) -> int:
        return min(len(self.source), MOST_BATCHES)  # type: ignore[arg-type]


def shortened(batches: Batches) -> Batches:
    """Return the first MOST_BATCHES of the batches, those of a shuffled source anew each time."""
    return replace(batches, source=_First(batches.source))


def _silent(stage: str, fraction: float) -> None:
    pass
