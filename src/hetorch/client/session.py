"""What a client does, written once for hetorch.Client and hetorch.AsyncClient, as coroutines over a driver.

Every call of both clients goes through here once. Keys are in `session_keys`, single requests in `encrypted_requests`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hetorch.client.driver import Driver
from hetorch.client.encrypted_requests import EncryptedRequests
from hetorch.client.gathering import Gathering
from hetorch.client.jobs import JobSteps, Piece
from hetorch.client.pinning import PinnedPlan, check_pinned
from hetorch.client.remote_jobs import told_of_jobs
from hetorch.client.retries import within
from hetorch.client.servers import Servers
from hetorch.client.session_keys import SessionKeys
from hetorch.client.sharing_noise import checked_sharing, sharing_noise
from hetorch.client.successor import check_successor
from hetorch.client.transport import Transport
from hetorch.client.trust import check_plan
from hetorch.client.vault import StoredKeys, Vault
from hetorch.client.weights import WeightSource, open_source
from hetorch.engine.sharing import Sharing
from hetorch.errors import InputError, PlanUseError, RemoteError
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.progress import Progress, ProgressOption, counted, is_shown, reporting
from hetorch.wire.codes import Code
from hetorch.wire.jobs import JobStatus

T = TypeVar("T")
log = logging.getLogger("hetorch.client")
Array = NDArray[np.float64]

FAR = (
    "the input holds a value on which nothing can be computed with this model, far beyond the calibrated range or "
    "beyond what its parameters hold; the InputRangeWarning before names it. It was computed on all the same, so that "
    "the server does not see it, and the result is not returned: it means nothing"
)
"""The sentence for such an input, the same whatever its size."""
NOISE_DEVIATIONS = 6.0
"""Standard deviations by which Gaussian noise may take a shared result out of the range of results before it is warned
of: one value in 10^9 goes further. Raised, smaller faults of shared results are not told."""
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
    """One model of one server or several, with the keys of one vault. Many threads, or the tasks of one loop, may use
    a session.

    `open` comes first. The methods without `async` check their arguments at once and return a coroutine, so that
    warnings name the line of the user, `stacklevel` frames above their caller.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        driver: Driver,
        vault: Vault,
        wishes: Wishes,
        *,
        own_vault: bool,
    ) -> None:
        self.vault = vault
        self._own_vault = own_vault
        self.servers = Servers(transports, vault, wishes.progress)
        self.keys = SessionKeys(driver, self.servers, vault, wishes.progress)
        self.requests = EncryptedRequests(driver, self.servers, self.keys, vault, self._check_open)
        self.closed = False
        self._driver = driver
        self._wishes = wishes
        self._following = driver.lock()
        self._gathering: Gathering | None = None
        self._pinned = False

    @property
    def model(self) -> str:
        """The model's name, of a closed session too."""
        return self._model()[0]

    @property
    def plan(self) -> PublicPlan:
        """The public plan, of a closed session too."""
        return self._model()[1]

    def _model(self) -> tuple[str, PublicPlan]:
        if self.servers.model is None:
            raise RemoteError(
                f"this client of {self.servers.url} is not open yet; use `async with`, or await its open()"
            )
        return self.servers.model

    def _check_open(self) -> PublicPlan:
        """Return the public plan; RemoteError if the session is closed or not open yet."""
        if self.closed:
            raise RemoteError(f"this client of {self.servers.url} is closed; make a new one")
        return self.plan

    async def open(self) -> None:
        """Fetch and check the public plan, once; the connections are closed if it cannot be used."""
        if self.servers.model is not None:
            return
        try:
            with within(self._wishes.deadline):
                plan = await self.servers.choose(self._wishes.model, self._check_plan)
        except BaseException:
            await self.servers.close()
            raise
        self._gathering = Gathering(self._driver, self.servers.url, plan.batch_size, self.requests.predict)

    def _check_plan(self, plan: PublicPlan) -> None:
        """Raise an error unless a server's plan may be used; open the weights that belong to it."""
        wishes = self._wishes
        check_plan(
            plan,
            allow_insecure=wishes.allow_insecure,
            max_key_bytes=wishes.max_key_bytes,
            max_message_bytes=wishes.max_message_bytes,
        )
        if wishes.pinned is not None:
            check_pinned(plan, wishes.pinned)
        weights = self.servers.weights = None if wishes.weights is None else open_source(plan, wishes.weights)
        # open_source compared a whole plan with the server's.
        self._pinned = wishes.pinned is not None or isinstance(weights, Plan)

    async def close(self) -> None:
        """Close the connections, and wipe the secret key."""
        self.closed = True
        self.keys.wipe()
        if self._own_vault:
            self.vault.close()
        await self.servers.close()

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

    def submit(
        self, x: object, sharing: Sharing | None, stacklevel: int = 1
    ) -> Coroutine[Any, Any, JobSteps]:
        """Ask for the model's output by jobs, as hetorch.Client does."""
        plan = self.plan
        samples, single = plan.samples(x, fewest=1, refuse_far=False, stacklevel=stacklevel + 1)
        if sharing is not None:
            sharing = checked_sharing(plan, sharing, len(samples), pinned=self._pinned)
        return self._submit(samples, sharing, lambda rows: plan.named(rows[0] if single else rows))

    def predict_samples(self, samples: Array, sharing: Sharing | None) -> Coroutine[Any, Any, Array]:
        """Return the results (batch, *output_shape) of samples that plan.samples returned, in their order."""
        if sharing is not None:
            sharing = checked_sharing(self.plan, sharing, len(samples), pinned=self._pinned)
        return self._predict_samples(samples, sharing)

    async def prepare(self) -> StoredKeys:
        """Make the keys if the vault has none, and upload keys and weights that the server does not have."""
        self._check_open()
        return await self.servers.first(self.keys.prepare)

    async def upload_weights(self, weights: WeightSource) -> None:
        """Upload the weights of a model that the servers must not see, in place of those that they have."""
        plan = self._check_open()
        opened = open_source(plan, weights)
        with within(self._wishes.deadline):
            await self.keys.upload_weights(plan, opened)

    async def rotate_keys(self) -> bool:
        """Replace the secret key, and the evaluation keys here and on the servers, as hetorch.Client does."""
        plan = self._check_open()
        with within(self._wishes.deadline):
            gone = await self.keys.replace(plan)
            await self.prepare()
        return gone

    def make_keys(self) -> StoredKeys:
        """Return the evaluation keys of the plan from the vault, making them first if it has none."""
        return self.keys.make(self.plan)

    def public_key(self) -> bytes:
        """Return the public key for the model's owner."""
        return self.keys.public_key(self.plan)

    async def _predict_samples(self, samples: Array, sharing: Sharing | None) -> Array:
        before = self._check_open()
        try:
            return await self._predict_version(samples, sharing)
        except RemoteError as error:
            await self._follow(before, error, sharing)
        return await self._predict_version(samples, sharing)

    async def _follow(self, before: PublicPlan, error: RemoteError, sharing: Sharing | None) -> None:
        """Go over to the newest version of the model where the server has `before` no longer, and tell it in the log;
        raise `error` if that is not its reason.

        Raises:
            PlanUseError: the new version takes or gives something else, or the result was to be shared: its noise was
                chosen for the old one.
            HetorchError: the new plan cannot be used, as when a client is made.
        """
        if error.code != Code.OTHER_VERSION:
            raise error
        async with self._following:
            if self.plan.sha256 == before.sha256:
                plan = await self.servers.follow(self._check_successor)
                if plan.sha256 == before.sha256:  # the server refuses the version that it names itself
                    raise error
                self.keys.forget()
                self._gathering = Gathering(
                    self._driver, self.servers.url, self.plan.batch_size, self.requests.predict
                )
                log.warning(
                    "the model %r at %s has changed, from the version %s… to %s…; this client goes on with the new one",
                    self.model,
                    self.servers.url,
                    before.fingerprint[:12],
                    self.plan.fingerprint[:12],
                )
        if sharing is not None:
            raise PlanUseError(
                f"the model {self.model!r} has changed, and nothing was shared: the noise was chosen for the old one; "
                "ask again"
            ) from error

    def _check_successor(self, plan: PublicPlan) -> None:
        """Raise an error unless a plan may be used, and takes and gives what the present one does."""
        check_successor(self.model, self.plan, plan)
        self._check_plan(plan)

    async def _predict_version(self, samples: Array, sharing: Sharing | None) -> Array:
        progress = self._wishes.progress
        samples, far = self._within_bound(samples)
        gathering = self._gathering
        assert gathering is not None  # the session is open
        with within(self._wishes.deadline), gathering.under_way() as alone:
            await self.prepare()  # before the display of predictions: there is one at a time
            size = self.plan.batch_size
            batches = [samples[begin : begin + size] for begin in range(0, len(samples), size)]
            shown = progress if alone or callable(progress) else False
            with reporting(shown, PREDICTING) as told:
                report, watched = counted(told, PREDICTING), is_shown(shown)
                results = []
                for done, batch in enumerate(batches):
                    report(done, len(batches))
                    # The noise of shared results is that of one call.
                    work = self.requests.predict(batch, sharing) if sharing else gathering.predict(batch)
                    with told_of_jobs(_telling(told, done, len(batches)) if watched else None):
                        results.append(await work)
                report(len(batches), len(batches))
        if far:
            raise InputError(FAR)
        rows = np.concatenate(results)
        self.plan.warn_of_results(rows, room=_noise_room(self.plan, sharing, len(rows)))
        return rows

    async def _submit(
        self, samples: Array, sharing: Sharing | None, finish: Callable[[Array], Any]
    ) -> JobSteps:
        before = self._check_open()
        try:
            return await self._submit_version(samples, sharing, finish)
        except RemoteError as error:
            await self._follow(before, error, sharing)
        return await self._submit_version(samples, sharing, finish)

    async def _submit_version(
        self, samples: Array, sharing: Sharing | None, finish: Callable[[Array], Any]
    ) -> JobSteps:
        """Submit a job for each batch of samples; those that were, are cancelled if one cannot be."""
        samples, far = self._within_bound(samples)
        plan, pieces = self.plan, list[Piece]()
        size = plan.batch_size

        def finish_or_refuse(rows: Array) -> Any:
            if far:
                raise InputError(FAR)
            plan.warn_of_results(rows, room=_noise_room(plan, sharing, len(rows)))
            return finish(rows)

        steps = functools.partial(
            JobSteps,
            self.model,
            finish=finish_or_refuse,
            progress=self._wishes.progress,
            lock=self._driver.lock(),
        )
        try:
            with within(self._wishes.deadline):
                for begin in range(0, len(samples), size):
                    pieces.append(await self.requests.submit(samples[begin : begin + size], sharing))
        except BaseException:
            await steps(pieces=pieces).cancel()
            raise
        return steps(pieces=pieces)

    def _within_bound(self, samples: Array) -> tuple[Array, bool]:
        """Return samples that can be encoded, and True if some were cut for it. The server chose the bound: it must not
        see by a missing request who is beyond it."""
        largest = self.plan.largest_input
        far = bool((np.abs(samples) > largest).any())
        return (np.clip(samples, -largest, largest) if far else samples), far


def _noise_room(plan: PublicPlan, sharing: Sharing | None, sample_count: int) -> float:
    """Return how far the noise on shared results may take them, in their unit; 0 for results that are not shared."""
    return 0.0 if sharing is None else NOISE_DEVIATIONS * sharing_noise(plan, sharing, sample_count)


def _telling(told: Progress, done: int, batches: int) -> Callable[[JobStatus], None]:
    """Return a function that tells of the job of one batch, with the layer that runs."""

    def tell(status: JobStatus) -> None:
        told(status.layer or status.status.value, (done + status.fraction) / batches)

    return tell


async def _after(results: Awaitable[Array], finish: Callable[[Array], T]) -> T:
    return finish(await results)
