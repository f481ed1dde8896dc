"""Requests that a proxy may read otherwise than this server: they are refused before anything is done for them.

A request that ends elsewhere for the proxy (request smuggling), or has another address or key for it, lets a stranger
pass what the proxy forbids, or speak on another client's connection.
"""

from __future__ import annotations

import re

from starlette.types import Scope

from hetorch.wire.addresses import KEY_ID_HEADER, PLAN_HEADER, TENANT_HEADER

SINGLE_HEADERS = (
    "authorization",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    KEY_ID_HEADER.lower(),
    PLAN_HEADER.lower(),
    TENANT_HEADER.lower(),
)
"""Headers that one request may have once."""
_DISGUISED = re.compile(rb"%(2f|5c|2e|3b|00)|\\|//|/\.{1,2}([;/]|$)", re.IGNORECASE)
"""Parts of a path that proxies decode, merge or resolve and others do not: encoded slash, backslash, dot, semicolon and
NUL, a backslash, an empty segment, and the segments `.` and `..`, also before a semicolon, which some servers drop."""


def tell_ambiguity(scope: Scope) -> str | None:
    """Return the sentence on what can be read in two ways in an HTTP request (its ASGI scope); None if nothing can."""
    names = [name.lower() for name, _ in scope["headers"]]
    for header in SINGLE_HEADERS:
        if names.count(header.encode()) > 1:
            return f"the request has the header {header} more than once"
    if b"content-length" in names and b"transfer-encoding" in names:
        return "the request has Content-Length and Transfer-Encoding, which tell two ends of its body"
    if scope.get("http_version") == "1.0" and b"transfer-encoding" in names:
        return "the request has Transfer-Encoding, which HTTP/1.0 does not know"
    if _DISGUISED.search(scope.get("raw_path") or scope["path"].encode()):
        return "the path has an encoded slash, backslash or dot, or an empty, '.' or '..' segment; write it plainly"
    return None
