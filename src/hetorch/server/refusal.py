"""Refusals: the errors that the service answers on purpose, each with a code, a status and one sentence."""

from __future__ import annotations

import math
import secrets

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hetorch.server.request_record import record_of
from hetorch.wire.addresses import JSON
from hetorch.wire.answers import dump_error
from hetorch.wire.codes import Code
from hetorch.wire.limits import RETRY_AFTER_SECONDS

LONGEST_PAUSE_SECONDS = 60.0
"""Longest pause that a busy server asks for, in seconds: what it expects is an estimate. Raised, clients return later
to a server whose load has ended."""


class Refusal(Exception):
    """A request that the server does not fulfil; raised anywhere, also in a worker, and answered as JSON.

    Args:
        code: the stable reason.
        sentence: the reason for people, in one line.
        status: the HTTP status, for the one code that has two; that of the code if left out.
        retry_after: seconds after which a busy server expects to have room, or the tenant may ask again; None if the
            server does not know.
    """

    def __init__(
        self, code: Code, sentence: str, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.status = code.status if status is None else status
        self.retry_after = retry_after

    def response(self, request_id: str | None = None) -> Response:
        """Return the answer; with the `request_id` under which the log has more."""
        body = dump_error(self.code, self.sentence, request_id)
        headers = {}
        if self.code in (Code.BUSY, Code.NOT_READY):
            headers["Retry-After"] = str(_pause(self.retry_after, LONGEST_PAUSE_SECONDS))
        if self.code is Code.RATE_EXCEEDED:  # the tenant's bucket fills as predicted
            headers["Retry-After"] = str(_pause(self.retry_after, math.inf))
        if self.code is Code.UNAUTHORISED:
            headers["WWW-Authenticate"] = "Bearer"
        response = _RefusalAnswer(body, self.status, headers, media_type=JSON)
        response.code = self.code
        return response


class _RefusalAnswer(Response):
    """An answer that leaves its code in the record of its request."""

    code: Code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record_of(scope).code = self.code
        await super().__call__(scope, receive, send)


def _pause(expected: float | None, longest: float) -> int:
    """Return the seconds until the next attempt: the expected ones and up to half of them more, at most `longest`; one
    of RETRY_AFTER_SECONDS if nothing or less is expected. They are random, so that clients that were refused together
    do not come together."""
    if expected is None or expected < RETRY_AFTER_SECONDS[0]:
        return secrets.choice(RETRY_AFTER_SECONDS)
    seconds = expected * (1 + secrets.randbelow(1000) / 2000)
    return math.ceil(min(seconds, longest))
