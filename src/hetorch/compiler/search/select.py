"""The rules by which one evaluation wins.

1. Within a variant and key weight, the cheapest choice.
2. Within a variant, the choice with the fewest keys that takes at most KEYS_WORTH times as long as the fastest; with a
   key limit, the choice of the first key weight that keeps the limit.
3. Among the variants, the choice with the least time per sample.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from hetorch.compiler.search.advice import no_parameters, too_many_keys
from hetorch.compiler.search.candidates import KEY_WEIGHTS, Scope
from hetorch.compiler.search.evaluation import Choice, Evaluation
from hetorch.compiler.search.feasibility import Infeasible
from hetorch.compiler.search.request import Request
from hetorch.errors import InfeasibleError

MANY_KEYS = 32_000_000
"""Bytes of evaluation keys above which the search looks for fewer keys, if the user sets no key_limit. A client uploads
them once. Raised, fewer plans trade time for keys."""
KEYS_WORTH = 1.005
"""Run time that fewer keys may take, if the user sets no key_limit, relative to the fastest choice: 0.5 % more. Raised,
plans have fewer keys and take longer."""


@dataclass(slots=True, eq=False)
class Ledger:
    """The evaluations so far: the cheapest choice of each (variant, key weight), and all that were infeasible.

    It is the feedback that the enumeration takes (hetorch.compiler.search.candidates.Feedback).
    """

    request: Request
    last: Evaluation | None = None
    cheapest: dict[tuple[int, float], Choice] = field(default_factory=dict)
    misses: dict[tuple[int, float], list[Infeasible]] = field(default_factory=lambda: defaultdict(list))

    def add(self, evaluation: Evaluation) -> None:
        """Record an evaluation; among choices of equal price the first one stays."""
        self.last = evaluation
        key = (evaluation.candidate.variant, evaluation.candidate.key_weight)
        if isinstance(evaluation, Infeasible):
            self.misses[key].append(evaluation)
        elif key not in self.cheapest or self._price(evaluation) < self._price(self.cheapest[key]):
            self.cheapest[key] = evaluation

    @property
    def feasible(self) -> bool:
        return self.last is not None and self.last.feasible

    @property
    def settles(self) -> Scope:
        return Scope.SPARE_BITS if self.last is None else self.last.settles

    def wants_fewer_keys(self, variant: int, key_weight: float) -> bool:
        choice = self.cheapest.get((variant, key_weight))
        limit = self.request.options.key_limit
        return choice is not None and choice.key_bytes > (MANY_KEYS if limit is None else limit)

    def winner(self) -> Choice:
        """Return the choice that takes the least time per sample, among the best choices of the variants.

        Raises:
            InfeasibleError: no variant has a choice; the message tells the fewest keys, or why the first variant has no
                parameters, and what helps.
        """
        limit = self.request.options.key_limit
        best: list[Choice] = []
        beyond: list[Choice] = []
        for variant in range(len(self.request.variants)):
            choices = [self.cheapest[variant, w] for w in KEY_WEIGHTS if (variant, w) in self.cheapest]
            within = [choice for choice in choices if limit is None or choice.key_bytes <= limit]
            if within:
                best.append(_with_few_keys(within) if limit is None else within[0])
            beyond += choices
        if best:
            return min(best, key=lambda choice: choice.cost / choice.batch)
        if beyond and limit is not None:
            fewest = min(beyond, key=lambda choice: choice.key_bytes)
            raise InfeasibleError(too_many_keys(self.request, fewest, limit))
        raise InfeasibleError(no_parameters(self.request, 0, self.misses[0, KEY_WEIGHTS[0]]))

    def _price(self, choice: Choice) -> float:
        """Return the seconds of a run or, without a batch size, of a sample."""
        return choice.cost if self.request.batch_size else choice.cost / choice.batch


def _with_few_keys(choices: list[Choice]) -> Choice:
    """Return the choice with the fewest keys among those that take at most KEYS_WORTH times as long as the first."""
    most = KEYS_WORTH * choices[0].cost
    return min((choice for choice in choices if choice.cost <= most), key=lambda choice: choice.key_bytes)
