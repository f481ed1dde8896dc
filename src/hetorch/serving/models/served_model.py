"""The models of a service as its server knows them: what clients fetch and send, and what a run takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hetorch.engine.backend import NATIVE, AnyBackend
from hetorch.engine.native import Ciphertext, EvaluationKeys
from hetorch.errors import PlanUseError
from hetorch.interop.backends import BACKENDS, backend
from hetorch.machine_memory import machine_memory
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.runtime.pieces import check_bootstraps, storage_within
from hetorch.serving.keys.stored_kinds import KeyKind, StoredKind, TenantKind, WeightKind
from hetorch.serving.models.loaded_model import ModelSource, version_of
from hetorch.serving.models.need import Need, predict_need
from hetorch.serving.private_folder import PrivateFolder
from hetorch.wire.answers import MODEL_NAME
from hetorch.wire.frame import FrameLimits
from hetorch.wire.predict import request_limits


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that worker processes load from `source`; no weights are in memory here.

    A client fetches `public_bytes`. `weight_kind` describes the weights of a client under its key; it is None where the
    server has the weights in clear. `need` is what one run takes. `kept` holds a temporary folder of the plan.
    """

    name: str
    public: PublicPlan
    public_bytes: bytes
    key_kind: StoredKind[EvaluationKeys]
    limits: FrameLimits
    source: ModelSource
    need: Need
    weight_kind: StoredKind[EncryptedWeights[Ciphertext]] | None = None
    kept: PrivateFolder | None = None

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the public plan, which tells the versions of a model apart."""
        return self.public.fingerprint

    @property
    def version(self) -> str:
        """The name and the fingerprint, by which processes find this version of the model."""
        return version_of(self.name, self.fingerprint)

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
    memory_limit: int | None = None,
    *,
    engine: str = NATIVE.name,
    folder: Path | None = None,
) -> ServedModel:
    """Make a plan ready to be served; its weights are encoded later, in the processes that compute.

    Args:
        name: the name that clients ask for.
        plan: a plan with its weights, or what Plan.without_weights returned of one for encrypted weights.
        memory_limit: a bound on the bytes of one prediction, with one client's keys, as for hetorch.runtime.Runner;
            that of this machine if left out.
        engine: the name of the backend that computes (hetorch.interop.backends).
        folder: the folder that the plan was read from, and stays in; a private copy is made if left out.

    Raises:
        InputError: there is no such engine.
        PlanUseError: the engine cannot run the plan, the plan does not fit the memory limit, or it holds weights that
            a server must not see.
        StorageError: the copy cannot be written.
    """
    chosen = backend(engine)
    if memory_limit is None:
        memory_limit = machine_memory()
    if plan.program.encrypted_weights:
        _check_outsourced(name, plan, chosen)
    check_bootstraps(plan, chosen)
    chosen.make(plan.parameters, None)  # refuses what the engine cannot run
    storage = storage_within(plan, memory_limit, chosen)
    kept = None
    if folder is None:
        kept = PrivateFolder("plan")
        folder = kept.path / "plan"
        plan.save(folder)
    public = plan.public()
    return ServedModel(
        name=name,
        public=public,
        public_bytes=public.to_bytes(),
        key_kind=KeyKind(plan.parameters, plan.key_spec),
        limits=request_limits(public),
        source=ModelSource(name, folder.absolute(), public.fingerprint, engine, memory_limit),
        need=predict_need(plan, storage, chosen, memory_limit),
        weight_kind=WeightKind.of(plan),
        kept=kept,
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
    folders: Iterable[Path], memory_limit: int | None = None, *, engine: str = NATIVE.name
) -> Mapping[str, ServedModel]:
    """Read plan folders and make them ready to be served, by name. The folders must stay as long as they are served.

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
        models[name] = serve_plan(name, Plan.load(folder), memory_limit, engine=engine, folder=folder)
    if not models:
        raise PlanUseError("no plan was given; a server needs at least one")
    return models
