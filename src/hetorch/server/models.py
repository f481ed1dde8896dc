"""The models of a server: loaded plans with their weights encoded, by name."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hetorch.engine.native import Ciphertext, EvaluationKeys, NativeEngine, Plaintext, PreparedTransform
from hetorch.errors import InputError, PlanError
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.runtime import Runner
from hetorch.runtime.pieces import pieces_within
from hetorch.server.seal_runs import SealRuns
from hetorch.server.stored_kinds import KeyKind, StoredKind, WeightKind
from hetorch.wire.answers import MODEL_NAME
from hetorch.wire.frame import FrameLimits
from hetorch.wire.predict import request_limits

NativeRunner = Runner[Ciphertext, Plaintext, PreparedTransform]

Progress = Callable[[str, float], None]
"""Called with the name of a model and the fraction of its weights that is encoded."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One plan, ready to run. `public_bytes` is what a client fetches, `runner` holds the encoded weights; with `seal`
    that does, and computes. With `weight_kind` each client has weights of its own, under its key, and `runner` none."""

    name: str
    public: PublicPlan
    public_bytes: bytes
    key_kind: KeyKind
    limits: FrameLimits
    plan: Plan
    runner: NativeRunner | None = None
    seal: SealRuns | None = None
    weight_kind: WeightKind | None = None

    @property
    def kinds(self) -> tuple[StoredKind[object], ...]:
        """All that a client must have uploaded before it asks."""
        return (self.key_kind,) if self.weight_kind is None else (self.key_kind, self.weight_kind)

    def run(
        self,
        keys: EvaluationKeys,
        inputs: Sequence[Ciphertext],
        weights: EncryptedWeights[Ciphertext] | None = None,
    ) -> list[Ciphertext]:
        """The ciphertexts of the result, computed with one client's evaluation keys, and its weights if the plan is
        without; safe from many threads."""
        if self.seal is not None:
            return self.seal.run(keys, inputs)
        engine = NativeEngine(self.public.parameters, evaluation_keys=keys)
        return Runner(self.plan, engine, share=self.runner, encrypted_weights=weights).run(inputs)


def model_name(folder: Path) -> str:
    """The name under which a plan folder is served: `digits` for `some/where/digits.hetorch`."""
    stem = folder.resolve().name.removesuffix(".hetorch")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:128]
    if not MODEL_NAME.fullmatch(name):
        raise PlanError(
            f"no model name can be made of {folder.name!r}; rename the folder with letters and digits"
        )
    return name


def serve_plan(
    name: str,
    plan: Plan,
    progress: Progress | None = None,
    memory_limit: int | None = None,
    *,
    engine: str = "native",
) -> ServedModel:
    """Encode the weights of a plan (`progress` tells how far) and make it ready to serve as `name`, on the engine
    "native" or "seal". `memory_limit` as Runner: of one prediction, with one client's keys. Of a plan compiled with
    weights="encrypted" only what Plan.without_weights returns is served. InputError for another engine, PlanError for a
    plan that SEAL cannot run or that holds weights which a server must not see."""
    if engine not in ("native", "seal"):
        raise InputError(f'engine must be "native" or "seal", got {engine!r}')
    runner: NativeRunner | None = None
    seal: SealRuns | None = None
    if plan.program.encrypted_weights:
        _check_outsourced(name, plan, engine)
        pieces_within(plan, memory_limit)
    elif engine == "seal":
        seal = SealRuns(plan, memory_limit)
    else:
        runner = Runner(plan, NativeEngine(plan.parameters), memory_limit=memory_limit)
    encoded = seal or runner
    if encoded is not None:
        encoded.prepare(None if progress is None else functools.partial(progress, name))
    public = plan.public()
    return ServedModel(
        name,
        public,
        public.to_bytes(),
        KeyKind(plan.parameters, plan.key_spec),
        request_limits(public),
        plan,
        runner,
        seal,
        WeightKind.of(plan),
    )


def _check_outsourced(name: str, plan: Plan, engine: str) -> None:
    if not plan.weights_withheld:
        raise PlanError(
            f'{name!r} was compiled with weights="encrypted" and still has its weights, which a server must not see; '
            "serve the plan without them: `hetorch without-weights PLAN -o PUBLIC`, or plan.without_weights().save(...)"
        )
    if engine == "seal":
        raise PlanError(
            f"{name!r} runs on weights that clients encrypt, which SEAL cannot multiply by here; serve it with "
            '--engine native, or compile the model with weights="clear" and engine="seal"'
        )


def load_models(
    folders: Iterable[Path],
    progress: Progress | None = None,
    memory_limit: int | None = None,
    *,
    engine: str = "native",
) -> Mapping[str, ServedModel]:
    """Load and prepare plan folders, by name; PlanError if one cannot be read or two have one name, errors of the
    engine as serve_plan."""
    models: dict[str, ServedModel] = {}
    for folder in folders:
        name = model_name(folder)
        if name in models:
            raise PlanError(f"two plans would be served as {name!r}; rename one of the folders")
        models[name] = serve_plan(name, Plan.load(folder), progress, memory_limit, engine=engine)
    if not models:
        raise PlanError("no plan was given; a server needs at least one")
    return models
