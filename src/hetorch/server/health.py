"""The health of a server: alive while it answers at all, ready while it takes predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hetorch.server.refusal import Refusal
from hetorch.wire.codes import Code

Reasons = Callable[[], Sequence[str]]
"""Returns the reasons for which the server takes no predictions, each a clause that names no model and no tenant:
everyone may ask for the health."""


class Health:
    """The two addresses of health. `reasons` is asked at each request."""

    def __init__(self, reasons: Reasons) -> None:
        self._reasons = reasons

    async def live(self, request: Request) -> Response:
        """Answer GET /v1/health/live: 200, since the process answers. A supervisor restarts it where nothing comes."""
        return JSONResponse({"status": "live"})

    async def ready(self, request: Request) -> Response:
        """Answer GET /v1/health/ready: 200 if the server takes predictions, else 503 `not_ready` and why."""
        reasons = self._reasons()
        if reasons:
            return Refusal(Code.NOT_READY, "; ".join(reasons)).response()
        return JSONResponse({"status": "ready"})
