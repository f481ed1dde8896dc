"""A plan on SEAL, for keys and ciphertexts that are hetorch's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hetorch.engine.native import Ciphertext, EvaluationKeys
from hetorch.errors import PlanError
from hetorch.interop.seal.engine import SealEngine
from hetorch.interop.seal.objects import SealCiphertext, SealPlaintext, SealTransform
from hetorch.plan import Plan
from hetorch.runtime.runner import Runner, Trace


class SealRunner:
    """As a Runner with a SealEngine, with native ciphertexts at both ends; weights are shared with `share`.

    PlanError for a plan that SEAL cannot run, or if seal-python is not installed.
    """

    def __init__(
        self,
        plan: Plan,
        evaluation_keys: EvaluationKeys | None = None,
        *,
        share: SealRunner | None = None,
        memory_limit: int | None = None,
    ) -> None:
        if plan.program.encrypted_weights:
            raise PlanError("encrypted weights run on the engine 'native' only")
        self._engine = SealEngine(plan.parameters, evaluation_keys=evaluation_keys)
        self._runner: Runner[SealCiphertext, SealPlaintext, SealTransform] = Runner(
            plan,
            self._engine,
            share=None if share is None else share._runner,
            memory_limit=memory_limit,
        )

    def prepare(self, progress: Callable[[float], None] | None = None) -> None:
        """Encode the weights, once; `progress` gets the fraction done."""
        self._runner.prepare(progress)

    def run(self, ciphertexts: Sequence[Ciphertext], *, trace: Trace | None = None) -> list[Ciphertext]:
        """As Runner.run."""
        inputs = [self._engine.take(ciphertext) for ciphertext in ciphertexts]
        return [self._engine.give(result) for result in self._runner.run(inputs, trace=trace)]
