"""The client for asyncio: the methods of hetorch.Client as coroutines, on the same implementation."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hetorch.client.client_base import ClientBase
from hetorch.client.event_loop import EventLoopDriver
from hetorch.client.jobs import AsyncJob
from hetorch.client.vault import StoredKeys
from hetorch.client.weights import WeightSource
from hetorch.engine.sharing import Sharing


class AsyncClient(ClientBase):
    """A connection to one model of a hetorch server, for asyncio.

    Arguments, attributes and errors are those of hetorch.Client, but making the object asks nobody:

        async with hetorch.AsyncClient(url) as client:
            results = await asyncio.gather(*(client.predict(x) for x in samples))

    Encryption, decryption and the making of keys run in threads, so that the loop goes on meanwhile. A client belongs
    to the event loop that opened it. `transport` is an httpx.AsyncBaseTransport.
    """

    _driver = EventLoopDriver

    async def open(self) -> None:
        """Fetch and check the public plan; `async with` does it."""
        await self._session.open()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection and wipe the secret key, as Client.close."""
        await self._session.close()

    async def predict(self, x: object, *, for_sharing: Sharing | None = None) -> Any:
        """Return the model's output for one sample or a batch of samples, as Client.predict."""
        return await self._session.predict(x, for_sharing)

    async def submit(self, x: object, *, for_sharing: Sharing | None = None) -> AsyncJob:
        """Ask for the model's output without waiting for it, as Client.submit."""
        return AsyncJob(await self._session.submit(x, for_sharing))

    async def predict_proba(self, x: object, *, for_sharing: Sharing | None = None) -> Any:
        """Return the probabilities of the classes, as Client.predict_proba."""
        return await self._session.predict_proba(x, for_sharing)

    async def classify(self, x: object, *, for_sharing: Sharing | None = None) -> NDArray[np.generic]:
        """Return the labels of the classes, as Client.classify."""
        return await self._session.classify(x, for_sharing)

    async def prepare(self) -> None:
        """Make and upload what is missing, as Client.prepare."""
        await self._session.prepare()

    async def upload_weights(self, weights: WeightSource) -> None:
        """Upload the weights of a model that the server must not see, as Client.upload_weights."""
        await self._session.upload_weights(weights)

    async def rotate_keys(self) -> bool:
        """Replace the keys of this plan, as Client.rotate_keys."""
        return await self._session.rotate_keys()

    async def public_key(self) -> bytes:
        """Return the public key for the model's owner, as Client.public_key."""
        return await asyncio.to_thread(self._session.public_key)

    async def make_keys(self) -> StoredKeys:
        """Return the evaluation keys of the plan, as Client.make_keys."""
        return await asyncio.to_thread(self._session.make_keys)
