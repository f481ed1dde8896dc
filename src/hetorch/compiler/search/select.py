"""The rules by which one evaluation wins.

1. Choices beyond the memory limit or the key limit never win.
2. Within a variant and key weight, the cheapest choice.
3. Within a variant, with a key_limit of the user, the cheapest of these. Without one, the choice with the fewest keys
   that takes little longer than the fastest, the more keys that one has the longer (LEAST_WORTH, MOST_WORTH); if its
   keys are above HUGE_KEYS, of whatever ring and digits.
4. Among the variants, the choice with the least time per sample.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from hetorch.compiler.search.advice import beyond_limits, no_parameters
from hetorch.compiler.search.candidates import KEY_WEIGHTS, Scope
from hetorch.compiler.search.evaluation import Choice, Evaluation
from hetorch.compiler.search.feasibility import Infeasible
from hetorch.compiler.search.request import Request
from hetorch.errors import InfeasibleError

FEWER_KEYS = (32_000_000, 32_000_000, 100_000_000, 1_000_000_000)
"""Bytes of evaluation keys above which the key weight after each of KEY_WEIGHTS is tried, if the user sets no
key_limit. A client uploads them once. Raised, fewer plans trade time for keys, and searches end earlier."""
HUGE_KEYS = 1_000_000_000
"""Bytes of evaluation keys above which all rings and digit sizes are considered for fewer of them: they take minutes to
upload, and memory in every run. Raised, plans for deep networks are faster and have more keys."""
LEAST_WORTH, MOST_WORTH = 0.005, 0.15
"""Share of a run's time that fewer keys may take, if the user sets no key_limit, relative to the fastest choice: that
of HUGE_KEYS or more, and the least; between them, it is in proportion to the keys of the fastest choice. Raised, plans
have fewer keys and take longer."""


@dataclass(slots=True, eq=False)
class Ledger:
    """The evaluations so far: the choices of each (variant, key weight) that none surpasses, and all infeasible ones.

    A choice surpasses another if it is as good in price, keys and memory. The ledger is the feedback that the
    enumeration takes (hetorch.compiler.search.candidates.Feedback).
    """

    request: Request
    last: Evaluation | None = None
    choices: dict[tuple[int, float], list[Choice]] = field(default_factory=lambda: defaultdict(list))
    misses: dict[tuple[int, float], list[Infeasible]] = field(default_factory=lambda: defaultdict(list))

    def add(self, evaluation: Evaluation) -> None:
        """Record an evaluation; among equal choices the first one stays."""
        self.last = evaluation
        key = (evaluation.candidate.variant, evaluation.candidate.key_weight)
        if isinstance(evaluation, Infeasible):
            self.misses[key].append(evaluation)
        elif not any(self._surpasses(other, evaluation) for other in self.choices[key]):
            kept = [other for other in self.choices[key] if not self._surpasses(evaluation, other)]
            self.choices[key] = [*kept, evaluation]

    @property
    def feasible(self) -> bool:
        return self.last is not None and self.last.feasible

    @property
    def settles(self) -> Scope:
        return Scope.SPARE_BITS if self.last is None else self.last.settles

    def is_within_limits(self, variant: int, key_weight: float) -> bool:
        return self._cheapest(variant, key_weight) is not None

    def wants_fewer_keys(self, variant: int, key_weight: float) -> bool:
        if not self.choices[variant, key_weight]:
            return False
        choice = self._cheapest(variant, key_weight)
        if choice is None:
            return True
        if self.request.options.key_limit is not None:
            return False
        tried = KEY_WEIGHTS.index(key_weight)
        return tried < len(FEWER_KEYS) and choice.key_bytes > FEWER_KEYS[tried]

    def winner(self) -> Choice:
        """Return the choice that takes the least time per sample, among the best choices of the variants.

        Raises:
            InfeasibleError: no variant has a choice; the message tells the fewest keys, or why the first variant has no
                parameters, and what helps.
        """
        best: list[Choice] = []
        beyond: list[Choice] = []
        for variant in range(len(self.request.variants)):
            cheapest = [c for c in (self._cheapest(variant, w) for w in KEY_WEIGHTS) if c is not None]
            choices = [choice for weight in KEY_WEIGHTS for choice in self.choices[variant, weight]]
            if cheapest:
                best.append(self._with_few_keys(cheapest, [c for c in choices if self._is_within(c)]))
            beyond += choices
        if best:
            return min(best, key=self._seconds_per_sample)
        if beyond:
            raise beyond_limits(self.request, beyond)
        raise InfeasibleError(no_parameters(self.request, 0, self.misses[0, KEY_WEIGHTS[0]]))

    def _with_few_keys(self, cheapest: list[Choice], choices: list[Choice]) -> Choice:
        """Return the winner of a variant: `cheapest` has one choice of each key weight, `choices` has all."""
        if self.request.options.key_limit is not None:
            return min(cheapest, key=self._price)
        first = cheapest[0]
        chosen = _fewest_keys(cheapest, (1 + _worth(first.key_bytes)) * first.cost)
        if chosen.key_bytes <= HUGE_KEYS:
            return chosen
        most = (1 + MOST_WORTH) * min(map(self._seconds_per_sample, choices))
        few = [c for c in choices if self._seconds_per_sample(c) <= most and c.key_bytes < chosen.key_bytes]
        small = [choice for choice in few if choice.key_bytes <= HUGE_KEYS]
        if small:
            return min(small, key=self._seconds_per_sample)
        return min(few, key=lambda choice: choice.key_bytes, default=chosen)

    def _cheapest(self, variant: int, key_weight: float) -> Choice | None:
        within = [choice for choice in self.choices[variant, key_weight] if self._is_within(choice)]
        return min(within, key=self._price, default=None)

    def _is_within(self, choice: Choice) -> bool:
        memory = self.request.memory_limit
        fits = memory is None or choice.footprint.total <= memory
        return fits and choice.key_bytes <= self.request.key_limit

    def _surpasses(self, a: Choice, b: Choice) -> bool:
        """Return whether `a` is as good as `b` in everything that decides."""
        return (
            self._price(a) <= self._price(b)
            and a.key_bytes <= b.key_bytes
            and a.footprint.total <= b.footprint.total
        )

    def _price(self, choice: Choice) -> float:
        """Return the seconds of a run or, without a batch size, of a sample."""
        return choice.cost if self.request.batch_size else choice.cost / choice.batch

    @staticmethod
    def _seconds_per_sample(choice: Choice) -> float:
        return choice.cost / choice.batch


def _worth(key_bytes: int) -> float:
    """Return the share of time that fewer keys than `key_bytes` may take, before all choices are considered."""
    if key_bytes > HUGE_KEYS:
        return LEAST_WORTH
    return min(max(MOST_WORTH * key_bytes / HUGE_KEYS, LEAST_WORTH), MOST_WORTH)


def _fewest_keys(choices: list[Choice], most: float) -> Choice:
    """Return the choice with the fewest keys among those that take at most `most` seconds."""
    return min((choice for choice in choices if choice.cost <= most), key=lambda choice: choice.key_bytes)
