"""The record of one request: its id, and what the layers learn of it for logs, metrics and traces."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.types import Scope

from hetorch.server.proxies import FROM_PROXY
from hetorch.wire.addresses import REQUEST_ID_HEADER
from hetorch.wire.codes import Code

RECORD = "hetorch.record"
"""The entry of an ASGI scope that holds the RequestRecord."""
REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""The form of an id that is accepted from a proxy."""


@dataclass(slots=True)
class RequestRecord:
    """The record of one request so far; each layer adds its part.

    Args:
        id: by which its log lines and spans are found; the answer has it too.
        scope: its ASGI scope.
        code: the code of its error answer; None while there is none.
        model: the model that it asks for, once this is known to exist.
        milliseconds: the steps of its computation, by name.
    """

    id: str
    scope: Scope
    code: Code | None = None
    model: str | None = None
    milliseconds: Mapping[str, float] = field(default_factory=dict)


CURRENT: ContextVar[RequestRecord | None] = ContextVar("hetorch.request", default=None)
"""The record of the request that the running task answers; log lines take their id from it."""


def record_of(scope: Scope) -> RequestRecord:
    """Return the record of a request; a new one where no layer has made it, as in tests of a single layer."""
    record = scope.get(RECORD)
    if not isinstance(record, RequestRecord):
        record = scope[RECORD] = RequestRecord(_request_id(scope), scope)
    return record


def is_from_proxy(scope: Scope) -> bool:
    """True for a request that a trusted proxy passed on."""
    return scope.get(FROM_PROXY) is True


def _request_id(scope: Scope) -> str:
    """Return the id that a trusted proxy gave the request, or a new one."""
    if is_from_proxy(scope):
        wanted = REQUEST_ID_HEADER.lower().encode()
        ids: list[str] = [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
        if len(ids) == 1 and REQUEST_ID.fullmatch(ids[0]):
            return ids[0]
    return secrets.token_hex(8)
