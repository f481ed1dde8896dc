"""The limits of tenants over HTTP: each request is counted for the tenant of its token, or refused with 429."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hetorch.server.access import OPEN, TOKEN
from hetorch.server.refusal import Refusal
from hetorch.server.tokens import ANYONE, Token
from hetorch.serving.errors import RateExceeded
from hetorch.serving.tenant_limits import TenantMeter
from hetorch.wire.addresses import JOBS

MAX_LENGTH_DIGITS = 18
"""Digits of a Content-Length header that are read; a longer one is refused behind this layer."""


class TenantTraffic:
    """ASGI middleware behind Access. Requests without a tenant pass: to the health, and where there are no tokens."""

    def __init__(self, app: ASGIApp, meter: TenantMeter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count it and its bytes, or refuse it."""
        token = scope.get(TOKEN)
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if not isinstance(token, Token) or token is ANYONE or path in OPEN:
            await self._app(scope, receive, send)
            return
        try:
            # Following a job costs about as little as refusing to, and must not use up a tenant's predictions.
            asks = not path.startswith(f"{JOBS}/")
            with self._meter.request(token.tenant, _declared(scope), asks=asks) as traffic:

                async def counted_receive() -> Message:
                    message = await receive()
                    traffic.came(len(message.get("body", b"")))
                    return message

                async def counted_send(message: Message) -> None:
                    traffic.went(len(message.get("body", b"")))
                    await send(message)

                await self._app(scope, counted_receive, counted_send)
        except RateExceeded as error:  # before the application: its own are answered there
            await Refusal(error.code, str(error), retry_after=error.retry_after).response()(
                scope, receive, send
            )


def _declared(scope: Scope) -> int:
    """Return the length that a request declares; 0 for none or one that is no number."""
    text = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(text) if text.isdigit() and len(text) <= MAX_LENGTH_DIGITS else 0
