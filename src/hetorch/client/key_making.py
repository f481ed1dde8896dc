"""The keys of a public plan: made once, then taken from the vault."""

from __future__ import annotations

from collections.abc import Iterator

from hetorch.client.key_progress import KeyProgress
from hetorch.client.vault import StoredKeys, Vault
from hetorch.engine.codec import dump_evaluation_keys, evaluation_keys_blob_bytes
from hetorch.engine.random import wipe
from hetorch.engine.secret import SecretKey
from hetorch.errors import PlanUseError
from hetorch.plan.public import PublicPlan
from hetorch.progress import ProgressOption, reporting
from hetorch.wire.public_key import NamedPublicKey, dump_named_public_key

MAKING_KEYS = "making evaluation keys"
"""The stage that Progress is told."""


def secret_key(plan: PublicPlan, vault: Vault) -> SecretKey:
    """Return the vault's secret key for the plan's parameters; its seed is drawn on first use."""
    seed = vault.seed(plan.parameters)
    key = SecretKey.generate(plan.parameters, seed)
    wipe(seed)
    return key


def stored_evaluation_keys(plan: PublicPlan, vault: Vault, progress: ProgressOption = None) -> StoredKeys:
    """Return the evaluation keys of a plan that was checked (`check_plan`), making and storing them if the vault has
    none; one of them is in memory at a time."""
    spec = plan.key_spec
    stored = vault.find_evaluation_keys(plan.parameters, spec)
    if stored is not None:
        return stored
    secret = secret_key(plan, vault)

    def make() -> Iterator[bytes]:
        size, done = evaluation_keys_blob_bytes(plan.parameters, spec), KeyProgress.of(plan)
        with reporting(progress, MAKING_KEYS, size, done.text) as told:

            def report(made: int, _: int) -> None:
                told(MAKING_KEYS, done.fraction(made))

            report(0, spec.count)
            yield from dump_evaluation_keys(
                plan.parameters, spec, secret.switching_keys(spec, progress=report)
            )

    try:
        return vault.evaluation_keys(plan.parameters, spec, make)
    finally:
        secret.wipe()


def public_key_message(plan: PublicPlan, vault: Vault, progress: ProgressOption = None) -> bytes:
    """Return a public key for the owner of a model, as the bytes of a file.

    The plan must have been checked (`check_plan`). The message names the vault's evaluation keys of the plan, which are
    made if they are missing. PlanUseError if the server has the weights in clear.
    """
    if not plan.encrypted_weight_bytes:
        raise PlanUseError(
            f"the plan {plan.name!r} has its weights in clear, nobody needs to encrypt them; a public key is for plans "
            'compiled with weights="encrypted"'
        )
    keys = stored_evaluation_keys(plan, vault, progress)
    secret = secret_key(plan, vault)
    key = secret.public_key()
    secret.wipe()
    return dump_named_public_key(plan, NamedPublicKey(keys.key_id, key))
