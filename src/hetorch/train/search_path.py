"""The greedy path of `hetorch.train.search`: degrees fall one by one, those first that lose least for their time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hetorch.train.search_assignment import Assignment
from hetorch.train.search_costs import Cost, Costs

Degree = int | None
Loss = Mapping[tuple[str, Degree], float]

LEAST_LOSS = 1e-3
"""Loss that counts as none, as a share of the largest one: the noise of short trainings. Raised, more activations are
chosen by time alone."""
DEPTHS: Mapping[Degree, int] = {None: 8, 8: 4, 4: 2, 2: 1}
"""About as many levels as each degree takes; they stand in for seconds where no step saves any."""


@dataclass(frozen=True, slots=True)
class Step:
    """A point of the path: the activation that changed (empty at the start), all degrees, the cost, and the sum of the
    losses of each degree by itself."""

    activation: str
    degrees: Mapping[str, Degree]
    cost: Cost
    loss: float


@dataclass(slots=True)
class Path:
    """The path from the highest degrees down, in steps that are found when asked for.

    `choices` are the degrees of each activation, the highest first; `losses` what each of them costs by itself.
    `saved` are the seconds that each degree is expected to save, against the highest: an equal share of those that all
    save together, until the compiler has looked at it; then those that it saved, whatever the other degrees were.
    """

    choices: Mapping[str, tuple[Degree, ...]]
    losses: Loss
    costs: Costs
    steps: list[Step] = field(init=False)
    saved: dict[tuple[str, Degree], float] = field(init=False)

    def __post_init__(self) -> None:
        start = {path: degrees[0] for path, degrees in self.choices.items()}
        self.steps = [self.step("", start)]
        self.saved = {(path, degrees[0]): 0.0 for path, degrees in self.choices.items()}
        for number in range(1, max(map(len, self.choices.values()))):
            lower = {path: degrees[min(number, len(degrees) - 1)] for path, degrees in self.choices.items()}
            won = self._seconds_won(self.steps[0], lower) / len(lower)
            self.saved |= {item: won for item in lower.items() if item not in self.saved}

    @property
    def last(self) -> Step:
        """The point that was reached so far."""
        return self.steps[-1]

    def step(self, activation: str, degrees: Assignment) -> Step:
        """Return the point of these degrees."""
        return Step(
            activation, degrees, self.costs(degrees), sum(self.losses[item] for item in degrees.items())
        )

    def advance(self) -> bool:
        """Go one step on; return False if all degrees are the lowest.

        The step with the best expectation is looked at, and taken if it is still the best with the seconds that it
        saves now (lazy greedy: Minoux, "Accelerated greedy algorithms", 1978).
        """
        now = self.last.degrees
        looked: set[tuple[str, Degree]] = set()
        moves = [
            (path, degree)
            for path, degrees in self.choices.items()
            for degree in degrees[degrees.index(now[path]) + 1 :]
        ]
        if not moves:
            return False
        while (best := max(moves, key=self._worth)) not in looked:
            path, degree = best
            self.saved[best] = self.saved[path, now[path]] + self._seconds_won(
                self.last, {**now, path: degree}
            )
            looked.add(best)
        path, degree = best
        self.steps.append(self.step(path, {**now, path: degree}))
        return True

    def raised(self, point: Step, seconds: float) -> Step:
        """Return the point with higher degrees where the time stays within `seconds`, those that lose most first."""
        order = sorted(point.degrees, key=lambda path: -self.losses[path, point.degrees[path]])
        for path in order:
            degrees = self.choices[path]
            for degree in degrees[: degrees.index(point.degrees[path])]:
                if self.losses[path, degree] >= self.losses[path, point.degrees[path]]:
                    continue
                higher = self.step(point.activation, {**point.degrees, path: degree})
                if higher.cost.seconds <= seconds:
                    point = higher
                    break
        return point

    def _seconds_won(self, before: Step, degrees: Assignment) -> float:
        """Return the seconds that `degrees` save; infinite if they alone have parameters, 0 if neither has."""
        after = self.costs(degrees).seconds
        if math.isinf(after):
            return 0.0 if math.isinf(before.cost.seconds) else -math.inf
        return before.cost.seconds - after

    def _worth(self, move: tuple[str, Degree]) -> tuple[float, float]:
        """Return how good a step is: seconds for its loss, and levels for its loss where no seconds are saved."""
        path, degree = move
        now = self.last.degrees[path]
        lost = self.losses[move] - self.losses[path, now]
        loss = max(lost, LEAST_LOSS * max(self.losses.values()), 1e-12)
        won = self.saved[move] - self.saved[path, now]
        if math.isnan(won):
            won = 0.0
        return max(won, 0.0) / loss, (DEPTHS[now] - DEPTHS[degree]) / loss
