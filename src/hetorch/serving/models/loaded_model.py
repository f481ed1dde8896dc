"""A model in the processes that compute: its plan with encoded weights, ready to run with any client's keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetorch.engine.backend import AnyBackend
from hetorch.engine.native import Ciphertext, EvaluationKeys
from hetorch.errors import PlanUseError
from hetorch.interop.backends import backend
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.runtime import Listener, Runner
from hetorch.runtime.runner import count_rotations
from hetorch.serving.keys.stored_kinds import KeyKind, StoredKind, WeightKind
from hetorch.serving.models.engine_cache import EngineCache


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The place and the options of a model: all that another process needs to load it.

    Args:
        name: the name that clients ask for.
        folder: the plan.
        fingerprint: that of its public part; a folder that was replaced since is refused.
        engine: the name of the backend that computes.
        memory_limit: a bound on the bytes of one run, as for Runner.
    """

    name: str
    folder: Path
    fingerprint: str
    engine: str
    memory_limit: int | None

    @property
    def version(self) -> str:
        """The name and the fingerprint, by which processes find this version of the model."""
        return version_of(self.name, self.fingerprint)


def version_of(name: str, fingerprint: str) -> str:
    """Return the word for a version of a model between processes."""
    return f"{name}@{fingerprint}"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A plan that is ready to run. `runner` holds the encoded weights; it is None where each client has weights of its
    own, under its key, in the form that `weight_kind` describes. `rotations`: those of each operation."""

    name: str
    public: PublicPlan
    plan: Plan
    backend: AnyBackend
    engines: EngineCache
    runner: Runner[Any, Any, Any] | None
    key_kind: StoredKind[EvaluationKeys]
    weight_kind: StoredKind[EncryptedWeights[Ciphertext]] | None
    rotations: tuple[int, ...]

    @property
    def operations(self) -> int:
        """The number of operations of one run."""
        return len(self.plan.program.operations)

    def run(
        self,
        keys: EvaluationKeys,
        inputs: Sequence[Ciphertext],
        weights: EncryptedWeights[Ciphertext] | None = None,
        *,
        on_event: Listener | None = None,
    ) -> list[Ciphertext]:
        """Return the ciphertexts of the result, computed with one client's evaluation keys, and with its weights if
        the plan has none. An exception of `on_event` ends the run."""
        engine = self.engines.engine(keys)
        runner = Runner(
            self.plan,
            engine,
            backend=self.backend,
            share=self.runner,
            encrypted_weights=weights,
            rotations=self.rotations,
        )
        return runner.run_native(inputs, on_event=on_event)


def load(source: ModelSource, progress: Callable[[float], None]) -> LoadedModel:
    """Load a plan and encode its weights; `progress` is told the fraction that is encoded.

    Raises:
        StorageError, PlanFormatError: as Plan.load.
        PlanUseError: the plan is not the one that the source means, or does not fit its memory limit.
    """
    plan, chosen = Plan.load(source.folder), backend(source.engine)
    public = plan.public()
    if public.fingerprint != source.fingerprint:
        raise PlanUseError(
            f"the plan in {source.folder} is another one than was to be served as {source.name!r}; start again"
        )
    runner: Runner[Any, Any, Any] | None = None
    if not plan.program.encrypted_weights:
        encoder = chosen.make(plan.parameters, None)
        runner = Runner(plan, encoder, backend=chosen, memory_limit=source.memory_limit)
        runner.prepare(progress)
    return LoadedModel(
        source.name,
        public,
        plan,
        chosen,
        EngineCache(chosen, plan.parameters),
        runner,
        KeyKind(plan.parameters, plan.key_spec),
        WeightKind.of(plan),
        count_rotations(plan),
    )
