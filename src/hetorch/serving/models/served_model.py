"""The models of a server: loaded plans with their weights encoded, by name."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hetorch.engine.backend import NATIVE, AnyBackend
from hetorch.engine.native import Ciphertext, EvaluationKeys
from hetorch.errors import PlanUseError
from hetorch.interop.backends import BACKENDS, backend
from hetorch.ir.matrix_memory import machine_memory
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.progress import Progress
from hetorch.runtime import Runner
from hetorch.runtime.pieces import storage_within
from hetorch.serving.keys.stored_kinds import KeyKind, StoredKind, TenantKind, WeightKind
from hetorch.serving.models.engine_cache import EngineCache
from hetorch.wire.answers import MODEL_NAME
from hetorch.wire.frame import FrameLimits
from hetorch.wire.predict import request_limits


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A plan that is ready to run on `backend`.

    A client fetches `public_bytes`. `runner` holds the encoded weights; it is None where each client has weights of
    its own, under its key, in the form that `weight_kind` describes.
    """

    name: str
    public: PublicPlan
    public_bytes: bytes
    key_kind: StoredKind[EvaluationKeys]
    limits: FrameLimits
    plan: Plan
    backend: AnyBackend
    engines: EngineCache
    runner: Runner[Any, Any, Any] | None = None
    weight_kind: StoredKind[EncryptedWeights[Ciphertext]] | None = None

    @property
    def kinds(self) -> tuple[StoredKind[object], ...]:
        """All that a client must have uploaded before it asks."""
        return (self.key_kind,) if self.weight_kind is None else (self.key_kind, self.weight_kind)

    def for_tenant(self, tenant: str) -> ServedModel:
        """Return the model with uploads that belong to one tenant."""
        return replace(
            self,
            key_kind=TenantKind(self.key_kind, tenant),
            weight_kind=None if self.weight_kind is None else TenantKind(self.weight_kind, tenant),
        )

    def run(
        self,
        keys: EvaluationKeys,
        inputs: Sequence[Ciphertext],
        weights: EncryptedWeights[Ciphertext] | None = None,
    ) -> list[Ciphertext]:
        """Return the ciphertexts of the result, computed with one client's evaluation keys, and with its weights if
        the plan has none; safe from many threads."""
        engine = self.engines.engine(keys)
        runner = Runner(self.plan, engine, backend=self.backend, share=self.runner, encrypted_weights=weights)
        return runner.run_native(inputs)


def model_name(folder: Path) -> str:
    """Return the name under which a plan folder is served: `digits` for `some/where/digits.hetorch`."""
    stem = folder.resolve().name.removesuffix(".hetorch")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:128]
    if not MODEL_NAME.fullmatch(name):
        raise PlanUseError(
            f"no model name can be made of {folder.name!r}; rename the folder with letters and digits"
        )
    return name


def serve_plan(
    name: str,
    plan: Plan,
    progress: Progress | None = None,
    memory_limit: int | None = None,
    *,
    engine: str = NATIVE.name,
) -> ServedModel:
    """Encode the weights of a plan and make it ready to serve.

    Args:
        name: the name that clients ask for.
        plan: a plan with its weights, or what Plan.without_weights returned of one for encrypted weights.
        progress: called with the name and the fraction of the weights that is encoded.
        memory_limit: a bound on the bytes of one prediction, with one client's keys, as for hetorch.runtime.Runner;
            that of this machine if left out.
        engine: the name of the backend that computes (hetorch.interop.backends).

    Raises:
        InputError: there is no such engine.
        PlanUseError: the engine cannot run the plan, the plan does not fit the memory limit, or it holds weights that
            a server must not see.
    """
    chosen = backend(engine)
    if memory_limit is None:
        memory_limit = machine_memory()
    runner: Runner[Any, Any, Any] | None = None
    if plan.program.encrypted_weights:
        _check_outsourced(name, plan, chosen)
        storage_within(plan, memory_limit, chosen)
    else:
        encoder = chosen.make(plan.parameters, None)
        runner = Runner(plan, encoder, backend=chosen, memory_limit=memory_limit)
        runner.prepare(None if progress is None else functools.partial(progress, name))
    public = plan.public()
    return ServedModel(
        name=name,
        public=public,
        public_bytes=public.to_bytes(),
        key_kind=KeyKind(plan.parameters, plan.key_spec),
        limits=request_limits(public),
        plan=plan,
        backend=chosen,
        engines=EngineCache(chosen, plan.parameters),
        runner=runner,
        weight_kind=WeightKind.of(plan),
    )


def _check_outsourced(name: str, plan: Plan, chosen: AnyBackend) -> None:
    if not plan.weights_withheld:
        raise PlanUseError(
            f'{name!r} was compiled with weights="encrypted" and still has its weights, which a server must not see; '
            "serve the plan without them: `hetorch without-weights PLAN -o PUBLIC`, or plan.without_weights().save(...)"
        )
    if not chosen.takes_encrypted_weights:
        able = " or ".join(known.name for known in BACKENDS if known.takes_encrypted_weights)
        raise PlanUseError(
            f"{name!r} runs on weights that clients encrypt, and the engine {chosen.name!r} cannot multiply by them; "
            f'serve it with engine="{able}", or compile the model with weights="clear" and engine="{chosen.name}"'
        )


def load_models(
    folders: Iterable[Path],
    progress: Progress | None = None,
    memory_limit: int | None = None,
    *,
    engine: str = NATIVE.name,
) -> Mapping[str, ServedModel]:
    """Load plan folders and make them ready to serve, by name.

    Raises:
        StorageError, PlanFormatError: as Plan.load.
        PlanUseError: as serve_plan; or no folder, two that would have one name, or one whose name cannot be a model's.
        InputError: there is no such engine.
    """
    models: dict[str, ServedModel] = {}
    for folder in folders:
        name = model_name(folder)
        if name in models:
            raise PlanUseError(f"two plans would be served as {name!r}; rename one of the folders")
        models[name] = serve_plan(name, Plan.load(folder), progress, memory_limit, engine=engine)
    if not models:
        raise PlanUseError("no plan was given; a server needs at least one")
    return models
