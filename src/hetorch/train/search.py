"""`hetorch.train.search`: choose the degree of each activation, by accuracy lost for time won."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hetorch.compiler.frontend.sources.as_module import as_module
from hetorch.compiler.options import CompileOptions
from hetorch.errors import InputError
from hetorch.progress import Progress, ProgressOption, reporting
from hetorch.quantities import time_text
from hetorch.signposts import explain_positional
from hetorch.train.augment import shift_of
from hetorch.train.epochs import Data
from hetorch.train.objective import Objective, output_variance
from hetorch.train.poly_act import DEGREES, PolyAct
from hetorch.train.poly_acts import REPLACES, poly_acts
from hetorch.train.prepare import copied, prepare
from hetorch.train.search_costs import SAMPLES, Cost, Costs
from hetorch.train.search_path import Path, Step
from hetorch.train.search_result import Searched, SearchedActivation, SearchedNetwork, degree_text
from hetorch.train.search_trials import Trial, Trials, losses_of, shortened
from hetorch.train.training_data import read_first, read_with_validation

RANGE_WEIGHT = 0.03
"""Weight of the range penalty, as hetorch.train.fine_tune has it."""
ATTEMPTS = 4
"""Number of times that lower degrees are tried until the network keeps the time after its short training too. Raised,
budgets that are hard to meet are met more often, and each attempt takes a training."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One of three: predicted seconds, a share of those at the highest degrees, or points of accuracy to lose."""

    seconds: float | None
    share: float | None
    points: float | None


@explain_positional("samples and labels are one argument: hetorch.train.search(model, (x, y), share=0.5)")
def search(
    model: nn.Module,
    loader: object,
    *,
    seconds: float | None = None,
    share: float | None = None,
    points: float | None = None,
    degrees: Sequence[int | None] = (8, 4, 2),
    validation: object | None = None,
    target: str | Callable[[Tensor], Tensor] | None = None,
    pool: Literal["average", "keep"] = "average",
    epochs: int = 2,
    batch_size: int = 64,
    seed: int = 0,
    progress: ProgressOption = None,
    **options: Any,
) -> Searched:
    """Choose a degree for each activation, so that a run keeps a time or the model an accuracy. The model is unchanged.

    Each degree of each activation is trained for a few epochs while the others are exact: the distance of the outputs
    from the model's is what it loses. Then degrees fall from the highest one after the other, those first that lose
    least for the seconds that they save by the compiler's prediction for the whole network, until the budget is kept.

        found = hetorch.train.search(model, (images, labels), seconds=0.5)
        tuned = hetorch.train.fine_tune(model, (images, labels), degree=found.degrees)

    Args:
        model: the trained model, as for hetorch.train.fine_tune.
        loader: the training data, as for hetorch.train.fine_tune. The first hundred batches of an epoch are used.
        seconds: a budget for the predicted time of a run. Give one of `seconds`, `share` and `points`.
        share: a budget as a share of the predicted time with the highest degrees, between 0 and 1.
        points: percentage points of accuracy that may be lost on held-out data, after `epochs` of training; fine_tune
            with more epochs loses fewer. The degrees are the lowest that lose no more.
        degrees: those to choose from: 8, 4, 2, and None for an activation that stays and that hetorch.compile
            approximates, which takes more levels.
        validation: data by which networks are judged. By default a tenth of a Dataset or of arrays is held back.
        target: as for hetorch.train.prepare.
        pool: as for hetorch.train.prepare.
        epochs: epochs of each of the short trainings, at least one for each degree of each activation.
        batch_size: samples in a batch of a Dataset or of arrays.
        seed: decides the order of the data, changed inputs, and dropout.
        progress: called with a stage and the fraction of the search that is done, which is estimated. By default a bar
            on the terminal, and a line in a notebook, for what takes more than a second, and elsewhere a line on stderr
            every minute; False for none.
        **options: those with which the model will be compiled, since they change the time.

    Returns:
        The degrees, and the networks that the search went through. Printed, it is a table.

    Raises:
        InputError: a wrong argument, data that do not fit the model, or a time that no degrees keep.
        UnsupportedModelError: as for hetorch.train.prepare and hetorch.compile.
        TrainingError: the loss became NaN or infinite.

    Long because of its arguments' descriptions.
    """
    budget = Budget(seconds, share, points)
    _check(budget, epochs)
    choices = _choices(degrees, target)
    chosen_options = CompileOptions(**options)
    original = as_module(model)
    devices = range(torch.cuda.device_count())
    with reporting(progress, "search", even_unseen=True) as tell, torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        train, judge = read_with_validation(loader, validation, original, batch_size, generator)
        train = shortened(train)
        teacher = copied(original).eval().requires_grad_(False)
        objective = Objective(teacher, output_variance(teacher, train), 1.0, None, RANGE_WEIGHT)
        trials = Trials(Data(train, judge, shift_of(train)), objective, epochs, seed, generator)
        before = _accuracy(trials, points)
        inputs = read_first(train, SAMPLES)
        prepared = _prepared(original, inputs, target, pool)
        run = _Search(prepared, choices, trials, inputs, chosen_options, before, tell)
        return run.within_points(points) if points is not None else run.within_time(budget)


class _Search:
    """The search on one model: losses first, then the path."""

    def __init__(
        self,
        prepared: nn.Module,
        degrees: tuple[int | None, ...],
        trials: Trials,
        inputs: tuple[Tensor, ...],
        options: CompileOptions,
        accuracy: float | None,
        tell: Progress,
    ) -> None:
        self.trials, self.accuracy, self.tell = trials, accuracy, tell
        self.acts = poly_acts(prepared)
        tell("train with exact activations", 0.0)
        self.base = trials.exact(prepared).model
        choices = dict.fromkeys(self.acts, degrees)
        self.losses = losses_of(
            trials, self.base, choices, lambda stage, done: tell(f"train {stage}", 0.05 + 0.35 * done)
        )
        expected = 4 * len(choices) * (len(degrees) - 1)

        def looked(count: int) -> None:
            tell("predict times", 0.4 + 0.5 * count / (count + expected))

        looked(0)
        self.costs = Costs(self.base, inputs, options, looked)
        self.path = Path(choices, self.losses, self.costs)

    def within_time(self, budget: Budget) -> Searched:
        """Return the degrees that keep a time."""
        whole = self.path.last.cost.seconds
        seconds = budget.seconds
        if seconds is None:
            assert budget.share is not None
            if math.isinf(whole):
                raise InputError("share is that of a network for which no parameters fit; give seconds=")
            seconds = budget.share * whole
        goal = seconds
        for _ in range(ATTEMPTS):
            while self.path.last.cost.seconds > goal and self.path.advance():
                pass
            if self.path.last.cost.seconds > goal:
                break
            step = self.path.raised(self.path.last, goal)
            trial = self._trial(step)
            cost = self.costs.of(trial.model)
            if cost.seconds <= seconds:
                return self._result(step, trial, cost)
            goal = min(goal, self.path.last.cost.seconds) * min(0.999, seconds / cost.seconds)
        least = min(step.cost.seconds for step in self.path.steps)
        raise InputError(
            f"the time of {time_text(seconds)} is not kept: with all degrees that were tried the model takes "
            f"{'more levels than fit' if math.isinf(least) else time_text(least)}; lower degrees, "
            "hetorch.train.prune or a smaller network save more"
        )

    def within_points(self, points: float) -> Searched:
        """Return the last point of the whole path that loses no more than `points`, found by bisection."""
        assert self.accuracy is not None
        while self.path.advance():
            pass
        steps, least = self.path.steps, self.accuracy - points / 100
        trials: dict[int, Trial] = {}

        def keeps(number: int) -> bool:
            trials[number] = trials.get(number) or self._trial(steps[number])
            accuracy = trials[number].accuracy
            return accuracy is not None and accuracy >= least - 1e-9

        good, bad = 0, len(steps) - 1
        if keeps(bad):
            good = bad
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if keeps(middle) else (good, middle)
        note = ""
        if not keeps(good):
            note = f"the highest degrees lose more than {points:g} points after so short a training; try more epochs"
        return self._result(steps[good], trials[good], self.costs.of(trials[good].model), trials, note)

    def _trial(self, step: Step) -> Trial:
        self.tell("train the chosen degrees", 0.9)
        return self.trials(self.base, step.degrees)

    def _result(
        self, step: Step, trial: Trial, cost: Cost, trials: Mapping[int, Trial] | None = None, note: str = ""
    ) -> Searched:
        activations = tuple(
            SearchedActivation(
                path,
                getattr(act, REPLACES, "-"),
                step.degrees[path],
                {degree: self.losses[path, degree] for degree in self.path.choices[path]},
            )
            for path, act in self.acts.items()
        )
        networks = tuple(
            _network(_title(number, point), point, point.cost, (trials or {}).get(number))
            for number, point in enumerate(self.path.steps)
        )
        chosen = _network("chosen", step, cost, trial)
        return Searched(activations, networks, chosen, self.accuracy, self.trials.epochs, note)


def _network(title: str, step: Step, cost: Cost, trial: Trial | None) -> SearchedNetwork:
    measured = () if trial is None else (trial.distance, trial.accuracy)
    return SearchedNetwork(title, step.degrees, cost.seconds, cost.levels, *measured)


def _title(number: int, step: Step) -> str:
    if not number:
        return f"all {degree_text(next(iter(step.degrees.values())))}"
    return f"{step.activation} to {degree_text(step.degrees[step.activation])}"


def _accuracy(trials: Trials, points: float | None) -> float | None:
    """Return the accuracy of the model on held-out data, if they have labels; a budget of points needs it."""
    accuracy = trials.accuracy_of_teacher()
    if points is not None and accuracy is None:
        raise InputError(
            "points are counted on held-out data with classes: give labels, and validation= beside a DataLoader; or a "
            "budget of time, seconds= or share="
        )
    return accuracy


def _prepared(model: nn.Module, inputs: tuple[Tensor, ...], target: Any, pool: Any) -> nn.Module:
    """Return a prepared copy with exact activations."""
    acts = [part for part in model.modules() if isinstance(part, PolyAct)]
    if any(act.stage == "polynomial" for act in acts):
        raise InputError(
            "the model is converted already; search the model that it was before, or a prepared one"
        )
    prepared = (
        copied(model)
        if acts
        else prepare(model, inputs if len(inputs) > 1 else inputs[0], target=target, pool=pool)
    )
    if not any(isinstance(part, PolyAct) for part in prepared.modules()):
        raise InputError(f"{type(model).__name__} has no activation whose degree could be chosen")
    return prepared


def _check(budget: Budget, epochs: object) -> None:
    wanted = [value for value in (budget.seconds, budget.share, budget.points) if value is not None]
    if len(wanted) != 1:
        raise InputError(
            "give one budget: seconds= or share= of the predicted time, or points= of accuracy that may be lost"
        )
    if not isinstance(wanted[0], int | float):
        raise InputError(f"the budget must be a number, got {wanted[0]!r}")
    if budget.share is not None and not 0 < budget.share <= 1:
        raise InputError(f"share must be above 0 and at most 1, got {budget.share!r}")
    if budget.seconds is not None and not 0 < budget.seconds < math.inf:
        raise InputError(f"seconds must be a positive number, got {budget.seconds!r}")
    if budget.points is not None and not 0 <= budget.points < 100:
        raise InputError(
            f"points must be 0 or more and below 100, got {budget.points!r}; 0.5 is half a percent"
        )
    if not isinstance(epochs, int) or epochs < 1:
        raise InputError(f"epochs must be a whole number of 1 or more, got {epochs!r}")


def _choices(degrees: object, target: object) -> tuple[int | None, ...]:
    """Return the degrees from the highest down, None first."""
    known: tuple[int | None, ...] = (None, *reversed(DEGREES))
    given = list(degrees) if isinstance(degrees, Sequence) and not isinstance(degrees, str) else []
    if len(given) < 2 or len(set(given)) < len(given) or any(degree not in known for degree in given):
        raise InputError(f"degrees must be two or more of 8, 4, 2 and None, got {degrees!r}")
    if None in given and target is not None:
        raise InputError(
            "degrees has None, which keeps activations, and target replaces them; give one of the two"
        )
    return tuple(degree for degree in known if degree in given)
