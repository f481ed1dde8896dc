"""Who may ask: the tokens of requests, and what they permit."""

from __future__ import annotations

import base64
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hetorch.errors import StorageError
from hetorch.server.proxies import PAST_PROXY
from hetorch.server.refusal import Refusal
from hetorch.server.tokens import ANYONE, Token, TokenTable, load_tokens
from hetorch.serving.errors import OtherTenant
from hetorch.serving.quiet_log import QuietLog
from hetorch.wire.addresses import (
    LIVE,
    OPEN_INFERENCE_LIVE,
    OPEN_INFERENCE_READY,
    READY,
    STATUS,
    TENANT_HEADER,
)
from hetorch.wire.codes import Code

log = logging.getLogger("hetorch.server")

TOKEN = "hetorch.token"
"""The entry of an ASGI scope that holds the Token of a request."""
OPEN = frozenset({LIVE, READY, OPEN_INFERENCE_LIVE, OPEN_INFERENCE_READY})
"""The addresses that need no token."""
UNAUTHORISED = (
    "this server asks for a valid API token (Authorization: Bearer …): give it as token=, with --token-file or in "
    "HETORCH_TOKEN; its owner makes one with `hetorch token add`"
)
NOT_VALID = (
    "this server does not take the API token of the request: it is wrong, revoked or expired; its owner sees the valid "
    "ones with `hetorch token list` and makes one with `hetorch token add`"
)
PAST_PROXY_REFUSED = (
    "this server takes requests from its proxy only (--trusted-proxies), where TLS ends: over plain HTTP everyone on "
    "the way reads your token; use the proxy's address, and have the token replaced"
)


_State = tuple[int, int, int, int, int]


class TokenFile:
    """A file of tokens, which is read again when it changes: a revoked token is refused from its next request on.

    While the file is missing or damaged, no token is valid. StorageError if that is so at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._state()
        self._table = TokenTable(load_tokens(path))
        self._quiet = QuietLog(log)

    def find(self, text: str) -> Token | None:
        """Return the valid token with this text, or None."""
        state = self._state()
        if state != self._seen:
            self._read(state)
        return self._table.find(text, datetime.now(UTC))

    def _read(self, state: _State | None) -> None:
        """Read the file again. One that cannot be read now, as when the process has no descriptor left, is tried again
        at the next request; a damaged one when it changes."""
        self._table = TokenTable()
        self._seen = state
        try:
            self._table = TokenTable(load_tokens(self._path))
        except StorageError as error:
            if isinstance(error.__cause__, OSError):
                self._seen = None
            self._quiet.warn(f"no token is valid until this is mended: {error}")

    def _state(self) -> _State | None:
        """Return what changes with the file; None if it is missing."""
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_mode


class Access:
    """ASGI middleware that demands a valid token for everything but the health of the server.

    Args:
        app: the application behind it.
        tokens: the file of tokens; None lets anyone ask for everything.
        past_proxies: True to serve requests that came past the trusted proxies, over plain HTTP, too.
    """

    def __init__(self, app: ASGIApp, tokens: TokenFile | None, *, past_proxies: bool) -> None:
        self._app = app
        self._tokens = tokens
        self._past_proxies = past_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request with a valid token to the application, and refuse any other."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope.get(PAST_PROXY) and not self._past_proxies and path not in OPEN:
            await Refusal(Code.FORBIDDEN, PAST_PROXY_REFUSED).response()(scope, receive, send)
            return
        token: Token | None = ANYONE
        sent = False
        if self._tokens is not None:
            values = [value for name, value in scope["headers"] if name == b"authorization"]
            sent = bool(values)
            text = _bearer(values) or (_password(values) if path == STATUS else None)
            token = None if text is None else self._tokens.find(text)
        if token is not None:
            scope[TOKEN] = token
        elif path not in OPEN:
            response = Refusal(Code.UNAUTHORISED, NOT_VALID if sent else UNAUTHORISED).response()
            if path == STATUS:  # a browser then asks its user for the token
                response.headers["WWW-Authenticate"] = (
                    'Basic realm="hetorch: the token as password", charset="UTF-8"'
                )
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def token_of(request: Request) -> Token:
    """Return the token of a request; Refusal (unauthorised) if it came without one."""
    token = request.scope.get(TOKEN)
    if not isinstance(token, Token):
        raise Refusal(Code.UNAUTHORISED, UNAUTHORISED)
    return token


def check_model(request: Request, model: str) -> None:
    """Raise Refusal (forbidden) unless the token of a request may use a model, whether or not there is one."""
    token = token_of(request)
    if not token.may_use(model):
        raise Refusal(
            Code.FORBIDDEN,
            f"the token {token.name!r} may not use the model {model[:128]!r}; ask the server's owner for one that may",
        )


def check_tenant(request: Request) -> None:
    """Raise OtherTenant if a request names a tenant that is not the one of its token."""
    named, token = request.headers.get(TENANT_HEADER), token_of(request)
    if named is None or named == token.tenant:
        return
    own = (
        "there are no tenants here" if token is ANYONE else f"the token {token.name!r} is of {token.tenant!r}"
    )
    raise OtherTenant(f"the request names the tenant {named[:64]!r}, and {own}")


def check_operator(request: Request) -> None:
    """Raise Refusal (forbidden) unless the token of a request may read the metrics and the status."""
    token = token_of(request)
    if not token.operator:
        raise Refusal(
            Code.FORBIDDEN,
            f"the token {token.name!r} may not read the metrics and the status; a token of `hetorch token add "
            "--operator` may",
        )


def _bearer(values: list[bytes]) -> str | None:
    """Return the text of a bearer token; None for another scheme, none or several headers."""
    if len(values) != 1:
        return None
    scheme, _, text = values[0].decode("latin-1").partition(" ")
    return text.strip(" \t") if scheme.lower() == "bearer" else None


def _password(values: list[bytes]) -> str | None:
    """Return the password of HTTP's basic scheme, in which browsers send a token; None for another scheme, none or
    several headers."""
    if len(values) != 1:
        return None
    scheme, _, text = values[0].decode("latin-1").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, _, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return password
