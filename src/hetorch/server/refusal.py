"""Refusals: the errors that the service answers on purpose, each with a code, a status and one sentence."""

from __future__ import annotations

import secrets

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hetorch.server.request_record import record_of
from hetorch.wire.addresses import JSON
from hetorch.wire.answers import dump_error
from hetorch.wire.codes import Code
from hetorch.wire.limits import RETRY_AFTER_SECONDS


class Refusal(Exception):
    """A request that the server does not fulfil; raised anywhere, also in a worker, and answered as JSON.

    Args:
        code: the stable reason.
        sentence: the reason for people, in one line.
        status: the HTTP status, for the one code that has two; that of the code if left out.
    """

    def __init__(self, code: Code, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.status = code.status if status is None else status

    def response(self, request_id: str | None = None) -> Response:
        """Return the answer; with the `request_id` under which the log has more."""
        body = dump_error(self.code, self.sentence, request_id)
        headers = {"Retry-After": str(_retry_after())} if self.code in (Code.BUSY, Code.NOT_READY) else {}
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


def _retry_after() -> int:
    """Return one of RETRY_AFTER_SECONDS at random, so that clients that were refused together do not come together."""
    return secrets.choice(RETRY_AFTER_SECONDS)
