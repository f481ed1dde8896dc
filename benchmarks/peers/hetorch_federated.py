"""A round of training together in one process: what each step takes at a party and at the aggregator."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers.session import Session, clock, serve
from benchmarks.peers.step_memory import StepMemory
from hetorch.federated import Aggregator, Identity, Party, Roster

SAMPLES = 100
STEPS = ("encrypt", "add", "decrypt")


class Round:
    """One round, in which all parties send the same update.

    `encrypt` takes an update, and ends with the message that has it; `add` is all that the aggregator does between the
    updates and the sum; `decrypt` takes the sum, and ends with the mean. The checks, signatures and shares of these
    steps are in them, the keys and shares before them are not.
    """

    def __init__(self, roster: Roster, identities: list[Identity], values: Any, number: int) -> None:
        self.values, self.threshold = values, roster.threshold
        begun = [Party(roster, identity).begin(number) for identity in identities]
        self.states: list[Any] = [state for state, _ in begun]
        self.messages = [message for _, message in begun]
        self.aggregator: Any = Aggregator.begin(roster, number)
        self.times = {step: [0.0] * len(identities) for step in STEPS}
        self.growth = dict.fromkeys(STEPS, 0)
        self.up = self.down = 0

    def run(self, *, memory: bool) -> Any:
        """Run all steps, and return the result of the first party. `memory`: measure that instead of the times."""
        measure = self._measure_memory if memory else self._measure_time
        for state, data in self._relay(self._collect):  # the keys of the round
            self._keep(state.receive(data))
        for index, (state, data) in enumerate(self._relay(self._collect)):
            ready = state.receive(data)
            encrypt = partial(ready.encrypt, sample_count=SAMPLES)
            self._keep(measure("encrypt", index, encrypt, {"w": self.values}))
        for index, (state, data) in enumerate(self._relay(self._collect)):
            self._keep(measure("encrypt", index, state.receive, data))
        for index, (state, data) in enumerate(self._relay(partial(measure, "add", 0, self._collect))):
            if index < self.threshold:  # the others are lost after their updates
                self._keep(measure("decrypt", index, state.receive, data))
        for index, (state, data) in enumerate(self._relay(self._collect)):
            self._keep(measure("decrypt", index, state.receive, data))
        state, data = next(iter(self._relay(self._collect)))
        return measure("decrypt", 0, state.receive, data)

    def _collect(self) -> Any:
        """Give the aggregator all messages of a step, and return its answers."""
        for message in self.messages:
            self.aggregator = self.aggregator.receive(message)
        self.aggregator, back = self.aggregator.close()
        return back

    def _relay(self, collect: Callable[[], Any]) -> list[tuple[Any, bytes]]:
        """Return each party's state with what the aggregator sends to it. The states and messages are cleared."""
        self.up += len(self.messages[0])
        back = collect()
        self.down += len(back[0])
        states, self.states, self.messages = self.states, [], []
        return [(state, back[index]) for index, state in enumerate(states)]

    def _keep(self, result: tuple[Any, bytes]) -> None:
        self.states.append(result[0])
        self.messages.append(result[1])

    def _measure_time(self, step: str, party: int, action: Callable[..., Any], *arguments: Any) -> Any:
        begun = clock()
        result = action(*arguments)
        self.times[step][party] += 1e3 * (clock() - begun)
        return result

    def _measure_memory(self, step: str, party: int, action: Callable[..., Any], *arguments: Any) -> Any:
        with StepMemory() as memory:
            result = action(*arguments)
        self.growth[step] = max(self.growth[step], memory.growth)
        return result


def setup(options: dict[str, Any]) -> Session:
    """Make the roster of `parties`, and one update of `weights` values for all of them."""
    parties = options["parties"]
    values = np.random.default_rng(1).uniform(-0.1, 0.1, options["weights"])
    identities = [Identity.generate() for _ in range(parties)]
    roster = Roster(
        "benchmark",
        tuple(identity.public for identity in identities),
        threshold=parties // 2 + 1,
        arrays=Roster.arrays_of({"w": values}, bound=0.1),
        most_samples=SAMPLES,
    )
    number = iter(range(1 << 20))

    def a_round(_: object) -> dict[str, Any]:
        play = Round(roster, identities, values, next(number))
        mean = play.run(memory=False).arrays["w"]
        return {
            "encrypt": statistics.median(play.times["encrypt"]),
            "add": play.times["add"][0],
            "decrypt": play.times["decrypt"][0],
            "error": float(np.abs(mean - values).max()),
            "bytes_up": play.up,
            "bytes_down": play.down,
        }

    def memory(_: object) -> dict[str, int]:
        play = Round(roster, identities, values, next(number))
        play.run(memory=True)
        return play.growth

    return Session({}, {"round": a_round, "memory": memory})


if __name__ == "__main__":
    serve(setup)
