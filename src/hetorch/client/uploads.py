"""The uploads of a client, keys and weights: sent when the server does not have them, and again when it drops them."""

from __future__ import annotations

from pathlib import Path

from hetorch.client.key_making import secret_key, stored_evaluation_keys
from hetorch.client.key_progress import KeyProgress
from hetorch.client.piecewise import UploadedFile, upload_in_pieces
from hetorch.client.remote_model import RemoteModel
from hetorch.client.vault import StoredKeys, Vault
from hetorch.client.weights import plan_body, read_key_id, upload_file
from hetorch.errors import WireError
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.progress import ProgressOption, counted, reporting
from hetorch.wire.codes import Code
from hetorch.wire.uploads import KEYS

UPLOADING_KEYS = "uploading evaluation keys"
"""The stage that Progress is told."""


class Uploads:
    """The uploads for one model of a server, with the keys of one vault.

    `weights`: the whole plan or a file of encrypted weights (`open_source`), for a server that must not see them; None
    if this client has none to give. Methods raise RemoteError, WireError and VaultError.
    """

    def __init__(
        self,
        remote: RemoteModel,
        plan: PublicPlan,
        vault: Vault,
        weights: Plan | Path | None,
        progress: ProgressOption,
    ) -> None:
        self._remote = remote
        self._plan = plan
        self._vault = vault
        self._weights = weights
        self._progress = progress
        self._keys: StoredKeys | None = None
        self._weights_sent = False

    async def keys(self) -> StoredKeys:
        """Return the evaluation keys, which the first call makes if necessary and uploads."""
        if self._keys is None:
            keys = stored_evaluation_keys(self._plan, self._vault, self._progress)
            await self._put_keys(keys)
            self._keys = keys
        return self._keys

    async def prepare(self) -> StoredKeys:
        """Upload keys and weights that the server does not have, at the first call; return the keys."""
        keys = await self.keys()
        if self._weights is not None and not self._weights_sent:
            if not await self._remote.has_weights(keys.key_id):
                await self._put_weights(self._weights, keys)
            self._weights_sent = True
        return keys

    async def replace_weights(self, weights: Plan | Path) -> None:
        """Upload weights in place of those that the server may have, and again whenever it has dropped them."""
        await self._put_weights(weights, await self.keys())
        self._weights, self._weights_sent = weights, True

    async def supply(self, code: str | None) -> bool:
        """Upload the thing that the server misses according to an error code; False if the code names no such thing, or
        this client does not have it."""
        keys = await self.keys()
        if code == Code.KEYS_MISSING:
            await self._put_keys(keys)
            return True
        if code == Code.WEIGHTS_MISSING and self._weights is not None:
            await self._put_weights(self._weights, keys)
            return True
        return False

    async def _put_keys(self, keys: StoredKeys) -> None:
        """Upload the keys unless the server has them."""
        if await self._remote.has_keys(keys.key_id):
            return
        keys.check()
        file = UploadedFile(KEYS, keys.path, keys.key_id, keys.size)
        detail = KeyProgress.of(self._plan).text
        with reporting(self._progress, UPLOADING_KEYS, keys.size, detail) as report:
            stored = await upload_in_pieces(self._remote, file, counted(report, UPLOADING_KEYS))
        if stored != keys.key_id:
            raise WireError(f"the server stored the keys as {stored[:12]}…, they are {keys.key_id[:12]}…")

    async def _put_weights(self, weights: Plan | Path, keys: StoredKeys) -> None:
        """Upload weights, those of a plan encrypted under the vault's secret key; WireError if a file is for other
        keys."""
        if isinstance(weights, Plan):
            secret = secret_key(self._plan, self._vault)
            with plan_body(weights, secret, keys.key_id, self._progress) as body:
                await self._remote.put_weights(keys.key_id, body)
        else:
            made_for = read_key_id(self._plan, weights)
            if made_for != keys.key_id:
                raise WireError(
                    f"the weights in {weights} were encrypted for the keys {made_for[:12]}…, those of this vault are "
                    f"{keys.key_id[:12]}…; have them encrypted with its public key (hetorch public-key)"
                )
            await upload_file(self._remote, weights, keys.key_id, self._progress)
