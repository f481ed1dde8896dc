"""One model of a server: the requests that a client makes about it."""

from __future__ import annotations

from hetorch.client.attempt import Body
from hetorch.client.remote_jobs import RemoteJobs, is_followed, is_job, longest_wait
from hetorch.client.retries import PREDICT_REPEATS
from hetorch.client.transport import Answer, Transport
from hetorch.errors import RemoteError, WireError
from hetorch.plan.public import MAX_BYTES, PublicPlan
from hetorch.wire import addresses
from hetorch.wire.answers import load_key_id
from hetorch.wire.codes import Code
from hetorch.wire.jobs import PREFER_HEADER, dump_preference, load_job
from hetorch.wire.limits import MAX_ANSWER_BYTES, REQUEST_SECONDS
from hetorch.wire.time_limit import TIME_LIMIT_HEADER, load_time_limit
from hetorch.wire.uploads import (
    UploadRequest,
    UploadState,
    dump_upload_request,
    load_offset,
    load_upload_state,
)


class RemoteModel:
    """The model `name` of the server behind a transport, in the version whose public plan has the fingerprint `plan`.
    None is the newest, until it is fetched.

    Every method raises RemoteError, with the code of the refusal if there is one, when the server cannot be reached or
    refuses, and WireError when its answer is malformed.
    """

    def __init__(self, transport: Transport, name: str, plan: str | None = None) -> None:
        self.name = name
        self._plan = plan
        self.jobs = RemoteJobs(transport)
        self._transport = transport
        self._patience = REQUEST_SECONDS
        # True once a followed job was unknown: the server was started anew, or a proxy asks another one each time. From
        # then on predictions are answered in their requests, so that none is computed in vain.
        self._loses_jobs = False

    async def public_plan(self) -> PublicPlan:
        """Fetch the public plan, parsed strictly but not yet trusted (see `check_plan`).

        From then on the transport waits for answers as long as the server says that one request may take.
        """
        answer = await self._transport.send(
            "GET", addresses.public_plan(self.name), headers=self._headers, limit=MAX_BYTES
        )
        self._patience = load_time_limit(answer.headers.get(TIME_LIMIT_HEADER, ""))
        self._transport.follow_time_limit(self._patience)
        plan = PublicPlan.from_bytes(answer.body)
        self._plan = plan.fingerprint
        return plan

    @property
    def _headers(self) -> dict[str, str]:
        """The headers that name the version, so that a server with several keeps to it."""
        return {} if self._plan is None else {addresses.PLAN_HEADER: self._plan}

    async def has_keys(self, key_id: str) -> bool:
        """Ask whether the server has these evaluation keys."""
        return await self._is_there(addresses.stored_keys(self.name, key_id), Code.KEYS_MISSING)

    async def has_weights(self, key_id: str) -> bool:
        """Ask whether the server has encrypted weights for these evaluation keys."""
        return await self._is_there(addresses.stored_weights(self.name, key_id), Code.WEIGHTS_MISSING)

    async def begin_upload(self, request: UploadRequest) -> UploadState:
        """Begin an upload in pieces, or find the one of the same bytes."""
        answer = await self._transport.send(
            "POST",
            addresses.begin_upload(self.name),
            content=dump_upload_request(request),
            headers={"Content-Type": addresses.JSON, **self._headers},
        )
        return load_upload_state(answer.body)

    async def continue_upload(self, state: UploadState, piece: Body) -> UploadState | str:
        """Send the bytes that follow; return the new state, or the key id when the upload is complete."""
        answer = await self._transport.send(
            "PATCH",
            addresses.upload(state.upload),
            content=piece,
            headers={addresses.UPLOAD_OFFSET_HEADER: str(state.offset), **self._headers},
            repeats=0,
        )
        if answer.body:
            return load_key_id(answer.body)
        return UploadState(state.upload, load_offset(answer.headers.get(addresses.UPLOAD_OFFSET_HEADER, "")))

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await self._transport.pause(seconds)

    async def delete_keys(self, key_id: str) -> None:
        """Delete evaluation keys, and the weights that belong to them."""
        await self._transport.send("DELETE", addresses.stored_keys(self.name, key_id), headers=self._headers)

    async def put_weights(self, key_id: str, body: Body) -> None:
        """Upload encrypted weights for these evaluation keys, in place of those that the server may have, in one
        request: for weights that are encrypted as they are sent, and would be others the next time."""
        answer = await self._transport.send(
            "PUT", addresses.weights(self.name), content=body, headers=self._headers
        )
        stored = load_key_id(answer.body)
        if stored != key_id:
            raise WireError(
                f"the server stored the weights for the keys {stored[:12]}…, they are for {key_id[:12]}…"
            )

    async def predict(self, key_id: str, request: bytes, limit: int) -> Answer:
        """Send a predict request, and wait for its job if the server makes one; the body of the answer has at most
        `limit` bytes. Where `told_of_jobs` has somebody to tell, a job is asked for from WATCHED_SECONDS on."""
        address = addresses.predict(self.name)
        while True:
            plainly = self._loses_jobs
            wait = self._patience if plainly else longest_wait(self._patience)
            answer = await self._transport.send(
                "POST",
                address,
                content=request,
                headers=self._headers
                | {addresses.KEY_ID_HEADER: key_id, PREFER_HEADER: dump_preference(wait)},
                limit=max(limit, MAX_ANSWER_BYTES),
                repeats=PREDICT_REPEATS,
            )
            try:
                return await self.jobs.finished(answer, f"POST {address}", limit)
            except RemoteError as error:
                if error.code != Code.JOB_UNKNOWN or plainly or not is_followed(answer):
                    raise
                self._loses_jobs = True

    async def submit(self, key_id: str, request: bytes) -> str:
        """Send a predict request whose result is fetched later; return the id of its job."""
        answer = await self._transport.send(
            "POST",
            addresses.predict(self.name),
            content=request,
            headers=self._headers | {addresses.KEY_ID_HEADER: key_id, PREFER_HEADER: dump_preference()},
            repeats=0,  # each request that comes is a job
        )
        if not is_job(answer):
            raise RemoteError(f"the server makes no jobs of {self.name!r}; use predict")
        return load_job(answer.body).job

    async def _is_there(self, path: str, missing: Code) -> bool:
        try:
            await self._transport.send("GET", path, headers=self._headers)
        except RemoteError as error:
            # By the code: a 404 of a proxy, or for an unknown model, does not tell that an upload is missing.
            if error.code != missing:
                raise
            return False
        return True
