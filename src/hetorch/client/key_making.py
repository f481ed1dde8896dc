"""Making evaluation keys for a public plan, or taking them from the vault."""

from __future__ import annotations

from collections.abc import Callable

from hetorch.client.vault import StoredKeys, Vault
from hetorch.engine.codec import dump_evaluation_keys
from hetorch.engine.secret import SecretKey
from hetorch.errors import PlanError
from hetorch.plan.public import PublicPlan
from hetorch.wire.public_key import NamedPublicKey, dump_named_public_key

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def secret_key(plan: PublicPlan, vault: Vault) -> SecretKey:
    """The secret key of the vault for the plan's parameters; its seed is drawn on first use."""
    return SecretKey.generate(plan.parameters, vault.seed(plan.parameters))


def stored_evaluation_keys(plan: PublicPlan, vault: Vault, progress: Progress | None = None) -> StoredKeys:
    """The evaluation keys of a plan that was checked (`check_plan`), made and stored if the vault has none."""
    spec = plan.key_spec
    found = vault.find_evaluation_keys(plan.parameters, spec)
    if found is not None:
        return found
    secret = secret_key(plan, vault)

    def make() -> bytes:
        def report(done: int, total: int) -> None:
            if progress is not None:
                progress("making evaluation keys", done, total)

        report(0, len(spec.galois) + (spec.relinearisation_level is not None))
        keys = secret.evaluation_keys(spec, progress=report)
        return dump_evaluation_keys(plan.parameters, spec, keys)

    return vault.evaluation_keys(plan.parameters, spec, make)


def public_key_message(plan: PublicPlan, vault: Vault, progress: Progress | None = None) -> bytes:
    """A public key for whoever has the weights of a plan that was checked (`check_plan`), as the bytes of a file. It
    names the vault's evaluation keys of the plan, which are made if they are not there. PlanError if the server has the
    weights in clear."""
    if not plan.encrypted_weight_bytes:
        raise PlanError(
            f"the plan {plan.name!r} has its weights in clear, nobody needs to encrypt them; a public key is for plans "
            'compiled with weights="encrypted"'
        )
    keys = stored_evaluation_keys(plan, vault, progress)
    key = secret_key(plan, vault).public_key()
    return dump_named_public_key(plan, NamedPublicKey(keys.key_id, key))
