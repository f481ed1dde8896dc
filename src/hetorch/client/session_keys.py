"""The keys of a session: made once, uploaded to the servers that are used, and replaced if the user asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from hetorch.client.driver import Driver
from hetorch.client.key_making import public_key_message, secret_key, stored_evaluation_keys
from hetorch.client.remote_model import RemoteModel
from hetorch.client.servers import Server, Servers
from hetorch.client.vault import StoredKeys, Vault
from hetorch.engine.secret import SecretKey
from hetorch.errors import RemoteError
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.progress import ProgressOption

T = TypeVar("T")


class SessionKeys:
    """The keys of one vault for the plan of some servers. Of calls at the same time, one makes and uploads them.

    `byte_count`: the bytes of the evaluation keys on the wire; 0 before they are made.
    """

    def __init__(self, driver: Driver, servers: Servers, vault: Vault, progress: ProgressOption) -> None:
        self.byte_count = 0
        self._driver = driver
        self._servers = servers
        self._vault = vault
        self._progress = progress
        self._preparing = driver.lock()
        self._own: tuple[str, str, SecretKey] | None = None

    def make(self, plan: PublicPlan) -> StoredKeys:
        """Return the evaluation keys of the plan from the vault, making them first if it has none."""
        return stored_evaluation_keys(plan, self._vault, self._progress)

    def public_key(self, plan: PublicPlan) -> bytes:
        """Return the public key for the model's owner."""
        return public_key_message(plan, self._vault, self._progress)

    async def own(self, plan: PublicPlan) -> tuple[str, SecretKey]:
        """Return the id of the evaluation keys and the secret key that belong together.

        They are kept for this plan: calls under way with the plan of before may ask behind those with the new one.
        """
        name = plan.sha256
        async with self._preparing:
            if self._own is None or self._own[0] != name:
                keys = await self._driver.compute(lambda: self.make(plan))
                secret = await self._driver.compute(lambda: secret_key(plan, self._vault))
                self._own = name, keys.key_id, secret
            return self._own[1:]

    async def prepare(self, server: Server) -> StoredKeys:
        """Make the keys if the vault has none, and upload keys and weights that the server does not have."""
        async with self._preparing:
            _, uploads = await self._servers.join(server)
            if not self.byte_count:
                _, plan = self._servers.remote(server)
                await self._driver.compute(lambda: self.make(plan))
            keys = await uploads.prepare()
            self.byte_count = keys.size
        return keys

    async def supplied(self, server: Server, ask: Callable[[RemoteModel], Awaitable[T]]) -> T:
        """Return what `ask` returns; upload keys or weights that the server does not have, once each, and ask again."""
        await self.prepare(server)
        remote, uploads = await self._servers.join(server)
        supplied: set[str | None] = set()
        while True:
            try:
                return await ask(remote)
            except RemoteError as error:
                if error.code in supplied:
                    raise
                async with self._preparing:
                    if not await uploads.supply(error.code):
                        raise
                supplied.add(error.code)

    async def upload_weights(self, plan: PublicPlan, weights: Plan | Path) -> None:
        """Upload the weights of a model that the servers must not see, in place of those that they have."""
        async with self._preparing:
            await self._driver.compute(lambda: self.make(plan))
            self._servers.weights = weights
            for server in self._servers.all:
                await (await self._servers.join(server))[1].replace_weights(weights)

    async def replace(self, plan: PublicPlan) -> bool:
        """Replace the secret key, and delete the evaluation keys here and on the servers; return True if no server has
        them any more."""
        async with self._preparing:
            old = self._vault.find_evaluation_keys(plan.parameters, plan.key_spec)
            # First, so that no server keeps them because something failed in between.
            gone = True if old is None else await self._servers.delete_keys(old.key_id)
            await self._driver.compute(lambda: self._vault.replace_seed(plan.parameters))
            self.forget()
            self.byte_count = 0
            self._servers.forget_uploads()
        return gone

    def forget(self) -> None:
        """Forget the keys, which another plan or another secret key makes useless. Calls under way may still decrypt;
        the secret key is wiped when the last one ends."""
        self._own = None

    def wipe(self) -> None:
        """Wipe the secret key from memory."""
        own, self._own = self._own, None
        if own is not None:
            own[2].wipe()
