"""The servers of one model: the one that answered last is asked first, and the next one where it is busy or away."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hetorch.client.catalogue import choose_model
from hetorch.client.remote_model import RemoteModel
from hetorch.client.retries import hurried
from hetorch.client.transport import Transport
from hetorch.client.uploads import Uploads
from hetorch.client.vault import Vault
from hetorch.errors import PlanUseError, RemoteError
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.progress import ProgressOption
from hetorch.wire.codes import Code

T = TypeVar("T")

log = logging.getLogger("hetorch.client")
"""Tells of each server that was left for the next one."""
UNAVAILABLE = (429, 502, 503, 504)
"""Statuses with which another server may do better; so may it where there was no answer."""


class Server:
    """One server: its connections, and the model and the uploads there once its plan is known to be the right one."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.joined: tuple[RemoteModel, Uploads] | None = None


class Servers:
    """The servers of one model. All must serve the same public plan, and each gets keys and weights when it is used.

    Args:
        transports: the connections to each, in the order of the user.
        vault: the keys.
        progress: told of uploads.
    """

    def __init__(self, transports: Sequence[Transport], vault: Vault, progress: ProgressOption) -> None:
        self.all = [Server(transport) for transport in transports]
        self.weights: Plan | Path | None = None
        self._vault = vault
        self._progress = progress
        self._current = 0
        self._model: tuple[str, PublicPlan] | None = None

    @property
    def url(self) -> str:
        """The address of the server that answered last, for messages."""
        return self.all[self._current].transport.url

    @property
    def model(self) -> tuple[str, PublicPlan] | None:
        """The model's name and its public plan; None before `choose`."""
        return self._model

    async def choose(self, name: str | None, check: Callable[[PublicPlan], None]) -> PublicPlan:
        """Fetch the public plan from the first server that answers, and `check` it; it is the one of all from then on.

        `name`: the model's name, None for the only one. Errors as those of choose_model and `check`.
        """

        async def fetch(server: Server) -> PublicPlan:
            remote = await choose_model(server.transport, name)
            plan = await remote.public_plan()
            check(plan)
            self._model = remote.name, plan
            self._join(server, remote)
            return plan

        return await self.first(fetch)

    async def follow(self, check: Callable[[PublicPlan], None]) -> PublicPlan:
        """Fetch the newest public plan of the model, and `check` it; it is the one of all from then on. With an error
        nothing changes."""
        before, joined = self._model, [server.joined for server in self.all]
        assert before is not None  # choose came first
        for server in self.all:
            server.joined = None
        try:
            return await self.choose(before[0], check)
        except BaseException:
            self._model = before
            for server, old in zip(self.all, joined, strict=True):
                server.joined = old
            raise

    async def first(self, act: Callable[[Server], Awaitable[T]]) -> T:
        """Return what `act` returns for the first server that is there; RemoteError of the last one if none is.

        Only for the last one it waits.
        """
        order = [*range(self._current, len(self.all)), *range(self._current)]
        for place in order:
            last = place == order[-1]
            try:
                with hurried(not last):
                    result = await act(self.all[place])
            except RemoteError as error:
                if last or (error.status is not None and error.status not in UNAVAILABLE):
                    raise
                log.warning("%s; the next server is asked", error)
                continue
            self._current = place
            return result
        raise AssertionError("there is at least one server")

    async def join(self, server: Server) -> tuple[RemoteModel, Uploads]:
        """Return the model and the uploads of a server; PlanUseError if it does not serve the plan of the others."""
        if server.joined is not None:
            return server.joined
        remote, plan = self.remote(server)
        other = PlanUseError(
            f"{server.transport.url} has another model {remote.name!r} than the server before it; give servers of the "
            "same plan"
        )
        try:
            served = await remote.public_plan()
        except RemoteError as error:
            if error.code == Code.OTHER_VERSION:
                raise other from error
            raise
        if served.sha256 != plan.sha256:
            raise other
        return self._join(server, remote)

    async def delete_keys(self, key_id: str) -> bool:
        """Delete evaluation keys on every server; return True if none of them has the keys any more."""
        gone = True
        for server in self.all:
            try:
                await self.remote(server)[0].delete_keys(key_id)
            except RemoteError as error:
                if error.code != Code.KEYS_MISSING:
                    log.warning("the keys %s… were not deleted: %s", key_id[:12], error)
                    gone = False
        return gone

    def forget_uploads(self) -> None:
        """Forget what each server has, after the keys were replaced."""
        for server in self.all:
            if server.joined is not None:
                self._join(server, server.joined[0])

    def remote(self, server: Server) -> tuple[RemoteModel, PublicPlan]:
        """Return the model of a server that may not have joined, and the public plan of all."""
        assert self._model is not None  # choose came first
        name, plan = self._model
        if server.joined is not None:
            return server.joined[0], plan
        return RemoteModel(server.transport, name, plan.fingerprint), plan

    async def close(self) -> None:
        """Close all connections."""
        for server in self.all:
            await server.transport.close()

    def _join(self, server: Server, remote: RemoteModel) -> tuple[RemoteModel, Uploads]:
        assert self._model is not None
        uploads = Uploads(remote, self._model[1], self._vault, self.weights, self._progress)
        server.joined = remote, uploads
        return server.joined
