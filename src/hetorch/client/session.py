"""What a client does, written once for hetorch.Client and hetorch.AsyncClient, as coroutines over a driver."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hetorch.client.catalogue import choose_model
from hetorch.client.driver import Driver
from hetorch.client.gathering import Gathering
from hetorch.client.key_making import public_key_message, secret_key, stored_evaluation_keys
from hetorch.client.pinning import PinnedPlan, check_pinned
from hetorch.client.remote_model import RemoteModel
from hetorch.client.retries import within
from hetorch.client.sharing_noise import checked_sharing
from hetorch.client.timing import StepTimings
from hetorch.client.transport import Answer, Transport
from hetorch.client.trust import check_plan
from hetorch.client.uploads import Uploads
from hetorch.client.vault import StoredKeys, Vault
from hetorch.client.weights import WeightSource, open_source
from hetorch.engine.secret import SecretKey, flood
from hetorch.engine.sharing import Sharing
from hetorch.errors import InputError, RemoteError, WireError
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.progress import ProgressOption, counted, reporting
from hetorch.wire.addresses import SERVER_TIMING_HEADER
from hetorch.wire.predict import dump_request, load_response, response_limits
from hetorch.wire.server_timing import load_server_timing

T = TypeVar("T")
Array = NDArray[np.float64]

PREDICTING = "encrypted predictions"
"""The stage that Progress is told."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of a client that say nothing about connections, as for hetorch.Client."""

    model: str | None
    allow_insecure: bool
    max_key_bytes: int
    max_message_bytes: int
    progress: ProgressOption
    weights: WeightSource | None
    pinned: PinnedPlan | None
    deadline: float | None


class Session:
    """One model of a server, with the keys of one vault. Many threads, or the tasks of one loop, may use one.

    `open` comes first. The methods without `async` check their arguments at once and return a coroutine, so that
    warnings name the line of the user, `stacklevel` frames above their caller.
    """

    def __init__(self, transport: Transport, driver: Driver, vault: Vault, wishes: Wishes) -> None:
        self.transport = transport
        self.vault = vault
        self.timings: list[StepTimings] = []
        self.key_bytes = self.request_bytes = self.response_bytes = 0
        self.closed = False
        self._driver = driver
        self._wishes = wishes
        self._preparing = driver.lock()
        self._opened: tuple[RemoteModel, PublicPlan, Uploads] | None = None
        self._secret: SecretKey | None = None
        self._gathering: Gathering | None = None
        self._pinned = False

    @property
    def opened(self) -> tuple[RemoteModel, PublicPlan, Uploads]:
        """The model, its plan and the uploads for it; RemoteError if the session is closed, or not open yet."""
        if self.closed:
            raise RemoteError(f"this client of {self.transport.url} is closed; make a new one")
        if self._opened is None:
            raise RemoteError(
                f"this client of {self.transport.url} is not open yet; use `async with`, or await its open()"
            )
        return self._opened

    @property
    def model(self) -> str:
        """The model's name, of a closed session too."""
        return (self._opened or self.opened)[0].name

    @property
    def plan(self) -> PublicPlan:
        """The public plan, of a closed session too."""
        return (self._opened or self.opened)[1]

    async def open(self) -> None:
        """Fetch and check the public plan, once; the connections are closed if it cannot be used."""
        if self._opened is not None:
            return
        wishes = self._wishes
        try:
            remote = await choose_model(self.transport, wishes.model)
            plan = await remote.public_plan()
            check_plan(
                plan,
                allow_insecure=wishes.allow_insecure,
                max_key_bytes=wishes.max_key_bytes,
                max_message_bytes=wishes.max_message_bytes,
            )
            if wishes.pinned is not None:
                check_pinned(plan, wishes.pinned)
            weights = None if wishes.weights is None else open_source(plan, wishes.weights)
        except BaseException:
            await self.transport.close()
            raise
        uploads = Uploads(remote, plan, self.vault, weights, wishes.progress)
        # open_source compared a whole plan with the server's.
        self._pinned = wishes.pinned is not None or isinstance(weights, Plan)
        self._gathering = Gathering(self._driver, self.transport.url, plan.batch_size, self._predict_batch)
        self._opened = remote, plan, uploads

    async def close(self) -> None:
        """Close the connections, and wipe the secret key."""
        self.closed = True
        secret, self._secret = self._secret, None
        if secret is not None:
            secret.wipe()
        await self.transport.close()

    def predict(self, x: object, sharing: Sharing | None, stacklevel: int = 1) -> Coroutine[Any, Any, Any]:
        """Return the model's output, as hetorch.Client does."""
        plan = self.plan
        samples, single = plan.samples(x, fewest=1, refuse_far=False, stacklevel=stacklevel + 1)
        results = self.predict_samples(samples, sharing)
        return _after(results, lambda rows: plan.named(rows[0] if single else rows))

    def predict_proba(
        self, x: object, sharing: Sharing | None, stacklevel: int = 1
    ) -> Coroutine[Any, Any, Any]:
        """Return the probabilities of the classes, as hetorch.Client does."""
        interface = self.plan.interface
        interface.check_probabilities()
        samples, single = self.plan.samples(x, fewest=1, refuse_far=False, stacklevel=stacklevel + 1)
        results = self.predict_samples(samples, sharing)
        return _after(results, lambda rows: interface.probabilities(rows[0] if single else rows))

    def classify(
        self, x: object, sharing: Sharing | None, stacklevel: int = 1
    ) -> Coroutine[Any, Any, NDArray[np.generic]]:
        """Return the labels of the classes, as hetorch.Client does."""
        interface = self.plan.interface
        interface.check_classes()
        samples, single = self.plan.samples(x, fewest=1, refuse_far=False, stacklevel=stacklevel + 1)
        results = self.predict_samples(samples, sharing)
        return _after(results, lambda rows: interface.labels(rows[0] if single else rows))

    def predict_samples(self, samples: Array, sharing: Sharing | None) -> Coroutine[Any, Any, Array]:
        """Return the results (batch, *output_shape) of samples that plan.samples returned, in their order."""
        if sharing is not None:
            sharing = checked_sharing(self.plan, sharing, len(samples), pinned=self._pinned)
        return self._predict_samples(samples, sharing)

    async def prepare(self) -> StoredKeys:
        """Make the keys if the vault has none, and upload keys and weights that the server does not have."""
        uploads = self.opened[2]
        async with self._preparing:
            if not self.key_bytes:
                await self._driver.compute(self.make_keys)
            keys = await uploads.prepare()
        self.key_bytes = keys.size
        return keys

    async def upload_weights(self, weights: WeightSource) -> None:
        """Upload the weights of a model that the server must not see, in place of those that it has."""
        _, plan, uploads = self.opened
        with within(self._wishes.deadline):
            async with self._preparing:
                await self._driver.compute(self.make_keys)
                await uploads.replace_weights(open_source(plan, weights))

    def make_keys(self) -> StoredKeys:
        """Return the evaluation keys of the plan from the vault, making them first if it has none."""
        return stored_evaluation_keys(self.plan, self.vault, self._wishes.progress)

    def public_key(self) -> bytes:
        """Return the public key for the model's owner."""
        return public_key_message(self.plan, self.vault, self._wishes.progress)

    async def _predict_samples(self, samples: Array, sharing: Sharing | None) -> Array:
        progress, largest = self._wishes.progress, self.plan.largest_input
        far = bool((np.abs(samples) > largest).any())
        if far:  # The server chose the bound: it must not see by a missing request who is beyond it.
            samples = np.clip(samples, -largest, largest)
        gathering = self._gathering
        assert gathering is not None  # the session is open
        with within(self._wishes.deadline), gathering.under_way() as alone:
            await self.prepare()
            size = self.plan.batch_size
            batches = [samples[begin : begin + size] for begin in range(0, len(samples), size)]
            # A terminal shows one display at a time.
            with reporting(progress if alone or callable(progress) else False, PREDICTING) as told:
                report = counted(told, PREDICTING)
                results = []
                for done, batch in enumerate(batches):
                    report(done, len(batches))
                    # The noise of shared results is that of one call.
                    shared = sharing is not None
                    results.append(
                        await (self._predict_batch(batch, sharing) if shared else gathering.predict(batch))
                    )
                report(len(batches), len(batches))
        if far:
            raise InputError(
                "the input holds a value on which nothing can be computed with this model, far beyond the calibrated "
                "range or beyond what its parameters hold; the InputRangeWarning before names it. It was computed on "
                "all the same, so that the server does not see it, and the result is not returned: it means nothing"
            )
        return np.concatenate(results)

    async def _predict_batch(self, samples: Array, sharing: Sharing | None = None) -> Array:
        """Predict at most plan.batch_size samples with one request; the results are in the order of the samples."""
        plan = self.plan
        key_id = (await self.prepare()).key_id
        secret = await self._secret_key()
        start = time.perf_counter()
        request = await self._driver.compute(lambda: _encrypted(plan, secret, samples, key_id))
        encrypted = time.perf_counter()
        answer = await self._post(request, key_id)
        received = time.perf_counter()

        def decrypt() -> Array:
            response = load_response(plan, answer.body, request)
            if response.key_id != key_id:
                raise WireError("the server's answer was made with other keys than ours; ask again")
            if sharing is not None:
                self.vault.record_shared(plan.parameters, sharing.queries)
            slots = [secret.decrypt(ciphertext) for ciphertext in response.ciphertexts]
            result = plan.unpack_batch(slots)[: len(samples)]
            return result if sharing is None else flood(result, sharing)

        result = await self._driver.compute(decrypt)
        self._note(start, encrypted, received, answer)
        self.request_bytes, self.response_bytes = len(request), len(answer.body)
        return result

    async def _secret_key(self) -> SecretKey:
        plan = self.opened[1]
        async with self._preparing:
            if self._secret is None:
                self._secret = await self._driver.compute(lambda: secret_key(plan, self.vault))
            return self._secret

    async def _post(self, request: bytes, key_id: str) -> Answer:
        """Send a request; upload keys or weights that the server has dropped, once each, and send it again."""
        remote, plan, uploads = self.opened
        limit = response_limits(plan).largest
        supplied: set[str | None] = set()
        while True:
            try:
                return await remote.predict(key_id, request, limit)
            except RemoteError as error:
                if error.code in supplied:
                    raise
                async with self._preparing:
                    if not await uploads.supply(error.code):
                        raise
                supplied.add(error.code)

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


async def _after(results: Awaitable[Array], finish: Callable[[Array], T]) -> T:
    return finish(await results)
