"""Rounds in one process, with everything that crosses the wire recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hetorch.errors import RoundVoidError
from hetorch.federated import Aggregator, Identity, Party, Roster, RoundResult
from hetorch.wire.frame import Kind

Update = Mapping[str, NDArray[np.float64]]
Change = Callable[[Kind, int, bytes], bytes]
"""Changes a message on its way; called with its step and its sender, or its recipient on the way back."""


def roster_of(identities: list[Identity], update: Update, threshold: int, **options: Any) -> Roster:
    return Roster(
        "test",
        tuple(identity.public for identity in identities),
        threshold,
        Roster.arrays_of(update, options.pop("bound", 1.0)),
        options.pop("most_samples", 1000),
        **options,
    )


def unchanged(step: Kind, party: int, message: bytes) -> bytes:
    return message


@dataclass
class Round:
    """A round of all parties. `lost`: the last step in which each of these parties sends something; `up` and `down`
    change messages to and from the aggregator."""

    roster: Roster
    identities: list[Identity]
    updates: Sequence[Update]
    samples: list[int]
    lost: Mapping[int, Kind] = field(default_factory=dict)
    up: Change = unchanged
    down: Change = unchanged
    number: int = 1
    wire: list[bytes] = field(default_factory=list)
    errors: dict[int, Exception] = field(default_factory=dict)

    def run(self) -> dict[int, RoundResult]:
        """Return the results of the parties that finish; the errors of the others are in `errors`."""
        states: dict[int, Any] = {}
        outgoing: dict[int, bytes] = {}
        for index, identity in enumerate(self.identities):
            states[index], outgoing[index] = Party(self.roster, identity).begin(self.number)
        aggregator: Aggregator | None = Aggregator.begin(self.roster, self.number)
        results: dict[int, RoundResult] = {}
        while aggregator is not None:
            step = aggregator.step
            for index, message in outgoing.items():
                changed = self.up(step, index, message)
                self.wire.append(changed)
                aggregator = aggregator.receive(changed)
            aggregator, back = aggregator.close()
            outgoing = {}
            for index, message in back.items():
                if index not in states or self._is_lost(index, step):
                    states.pop(index, None)
                    continue
                changed = self.down(step, index, message)
                self.wire.append(changed)
                try:
                    state = states[index].receive(changed)
                    if step is Kind.ROUND_SHARE:
                        state = state.encrypt(self.updates[index], sample_count=self.samples[index])
                except Exception as error:
                    self.errors[index] = error
                    del states[index]
                    continue
                if isinstance(state, RoundResult):
                    results[index] = state
                else:
                    states[index], outgoing[index] = state
        return results

    def _is_lost(self, index: int, step: Kind) -> bool:
        return index in self.lost and step >= self.lost[index]


def weighted_mean(updates: Sequence[Update], samples: list[int]) -> Update:
    """FedAvg in clear."""
    return {
        name: np.average([update[name] for update in updates], axis=0, weights=samples) for name in updates[0]
    }


def mean_error_bound(roster: Roster, samples: list[int]) -> float:
    """The largest error of a mean: half a fixed-point step for each contributor, and one of doubles."""
    step = max(roster.step(array) for array in roster.arrays)
    return len(samples) * step / 2 * roster.most_samples / sum(samples) + 1e-14


def round_of(count: int = 4, threshold: int = 3, **options: Any) -> Round:
    rng = np.random.default_rng(1)
    identities = [Identity.generate() for _ in range(count)]
    updates = [{"w": rng.uniform(-1, 1, 2500)} for _ in range(count)]
    return Round(roster_of(identities, updates[0], threshold, **options), identities, updates, [50] * count)


def assert_void(around: Round, pattern: str, parties: set[int] | None = None) -> None:
    """Assert that these parties, by default all, see the round void, and that none finishes."""
    with pytest.raises(RoundVoidError):
        around.run()
    parties = set(range(len(around.identities))) if parties is None else parties
    assert set(around.errors) == parties
    for error in around.errors.values():
        assert isinstance(error, RoundVoidError)
        assert pattern in str(error)
