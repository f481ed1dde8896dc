"""SEAL's runners of one plan: the weights are encoded once, the keys of the last few clients are kept converted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from hetorch.engine.native import Ciphertext, EvaluationKeys
from hetorch.plan.plan import Plan
from hetorch.runtime.seal_runner import SealRunner

CLIENTS = 4
"""Clients whose keys are kept in SEAL's form beside ours; converting them again takes about 10 ms a megabyte."""


class SealRuns:
    """Safe from many threads. PlanError, when made, for a plan that SEAL cannot run or without seal-python."""

    def __init__(self, plan: Plan, memory_limit: int | None = None) -> None:
        self._plan = plan
        self._shared = SealRunner(plan, memory_limit=memory_limit)
        self._lock = threading.Lock()
        # By the identity of the keys, which the entry keeps alive.
        self._runners: OrderedDict[int, tuple[EvaluationKeys, SealRunner]] = OrderedDict()

    def prepare(self, progress: Callable[[float], None] | None = None) -> None:
        """Encode the weights, once; `progress` gets the fraction done."""
        self._shared.prepare(progress)

    def run(self, keys: EvaluationKeys, inputs: Sequence[Ciphertext]) -> list[Ciphertext]:
        """The ciphertexts of the result, computed by SEAL with one client's keys."""
        return self._runner_of(keys).run(inputs)

    def _runner_of(self, keys: EvaluationKeys) -> SealRunner:
        with self._lock:
            found = self._runners.get(id(keys))
            if found is None:
                found = keys, SealRunner(self._plan, keys, share=self._shared)
                self._runners[id(keys)] = found
            self._runners.move_to_end(id(keys))
            if len(self._runners) > CLIENTS:
                self._runners.popitem(last=False)
            return found[1]
