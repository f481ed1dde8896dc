"""One request of a session: samples are encrypted and sent, and the answer is decrypted."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hetorch.client.driver import Driver
from hetorch.client.jobs import Piece
from hetorch.client.remote_model import RemoteModel
from hetorch.client.servers import Server, Servers
from hetorch.client.session_keys import SessionKeys
from hetorch.client.timing import StepTimings
from hetorch.client.transport import Answer
from hetorch.client.vault import Vault
from hetorch.engine.secret import SecretKey, flood
from hetorch.engine.sharing import Sharing
from hetorch.errors import WireError
from hetorch.plan.public import PublicPlan
from hetorch.wire.addresses import SERVER_TIMING_HEADER
from hetorch.wire.predict import dump_request, load_response, response_limits
from hetorch.wire.server_timing import load_server_timing

Array = NDArray[np.float64]


class EncryptedRequests:
    """The requests of a session, with its keys and servers.

    `timings`: the times of each request, in order. `request_bytes`, `response_bytes`: those of the last one on the
    wire; 0 before the first. `open_plan` returns the public plan, or raises RemoteError if the session is closed.
    """

    def __init__(
        self,
        driver: Driver,
        servers: Servers,
        keys: SessionKeys,
        vault: Vault,
        open_plan: Callable[[], PublicPlan],
    ) -> None:
        self.timings: list[StepTimings] = []
        self.request_bytes = self.response_bytes = 0
        self._driver = driver
        self._servers = servers
        self._keys = keys
        self._vault = vault
        self._open_plan = open_plan

    async def predict(self, samples: Array, sharing: Sharing | None = None) -> Array:
        """Predict at most plan.batch_size samples with one request; the results are in the order of the samples."""
        plan = self._open_plan()
        key_id, secret = await self._keys.own(plan)
        start = time.perf_counter()
        request = await self._driver.compute(lambda: _encrypted(plan, secret, samples, key_id))
        encrypted = time.perf_counter()
        answer = await self._servers.first(lambda server: self._post(server, plan, key_id, request))
        received = time.perf_counter()

        result = await self._driver.compute(
            lambda: self._decrypted(plan, secret, key_id, request, answer.body, len(samples), sharing)
        )
        self._note(start, encrypted, received, answer)
        self.request_bytes, self.response_bytes = len(request), len(answer.body)
        return result

    async def submit(self, samples: Array, sharing: Sharing | None) -> Piece:
        """Submit the job of at most plan.batch_size samples."""
        plan = self._open_plan()
        key_id, secret = await self._keys.own(plan)
        request = await self._driver.compute(lambda: _encrypted(plan, secret, samples, key_id))

        async def act(server: Server) -> tuple[RemoteModel, str]:
            return await self._keys.supplied(server, lambda remote: _submitted(remote, key_id, request))

        remote, job = await self._servers.first(act)

        async def decrypt(body: bytes) -> Array:
            return await self._driver.compute(
                lambda: self._decrypted(plan, secret, key_id, request, body, len(samples), sharing)
            )

        return Piece(remote.jobs, job, response_limits(plan).largest, decrypt)

    async def _post(self, server: Server, plan: PublicPlan, key_id: str, request: bytes) -> Answer:
        """Send a request and return its answer."""
        limit = response_limits(plan).largest
        return await self._keys.supplied(server, lambda remote: remote.predict(key_id, request, limit))

    def _decrypted(
        self,
        plan: PublicPlan,
        secret: SecretKey,
        key_id: str,
        request: bytes,
        body: bytes,
        count: int,
        sharing: Sharing | None,
    ) -> Array:
        """Return the `count` results in the response to a request that was made with this plan."""
        self._open_plan()
        response = load_response(plan, body, request)
        if response.key_id != key_id:
            raise WireError("the server's answer was made with other keys than ours; ask again")
        if sharing is not None:
            self._vault.record_shared(plan.parameters, sharing.queries)
        slots = [secret.decrypt(ciphertext) for ciphertext in response.ciphertexts]
        result = plan.unpack_batch(slots)[:count]
        return result if sharing is None else flood(result, sharing)

    def _note(self, start: float, encrypted: float, received: float, answer: Answer) -> None:
        """Note the time that each step of a request took."""
        told = load_server_timing(answer.headers.get(SERVER_TIMING_HEADER, ""))
        server = min(sum(told.values()) / 1e3, answer.first_byte)
        self.timings.append(
            StepTimings(
                encrypt=encrypted - start,
                upload=answer.first_byte - server,
                server=server,
                download=answer.last_byte - answer.first_byte,
                decrypt=time.perf_counter() - received,
            )
        )


def _encrypted(plan: PublicPlan, secret: SecretKey, samples: Array, key_id: str) -> bytes:
    """Return the request for some samples."""
    ciphertexts = [
        secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)
        for slots in plan.pack_batch(samples)
    ]
    return dump_request(plan, key_id, ciphertexts)


async def _submitted(remote: RemoteModel, key_id: str, request: bytes) -> tuple[RemoteModel, str]:
    return remote, await remote.submit(key_id, request)
