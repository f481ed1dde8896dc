"""Proxies before a server: the client's address comes from their header, and nobody passes them by over plain HTTP."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from hetorch.server.networks import Network

FROM_PROXY = "hetorch.from_proxy"
"""The entry of an ASGI scope that is True for a request from a trusted proxy."""
PAST_PROXY = "hetorch.past_proxy"
"""The entry of an ASGI scope that is True for a request over plain HTTP that did not come through a proxy."""
_FORWARDED = b"x-forwarded-for"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """ASGI middleware that puts the client's address in the place of a trusted proxy's.

    It is the last address of X-Forwarded-For that is not a trusted proxy's; a client can write only what stands before
    it. From any other peer the header is ignored. A request of another machine over plain HTTP that came past the
    proxies is marked with PAST_PROXY.

    Args:
        app: the application behind it.
        networks: the trusted proxies.
    """

    def __init__(self, app: ASGIApp, networks: Sequence[Network]) -> None:
        self._app = app
        self._networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with the address of its client."""
        peer = _parse(scope["client"][0]) if scope["type"] == "http" and scope.get("client") else None
        if peer is not None and self._networks:
            if self._trusts(peer):
                scope[FROM_PROXY] = True
                scope["client"] = (str(self._client(peer, scope["headers"])), 0)
            elif scope["scheme"] == "http" and not peer.is_loopback:
                scope[PAST_PROXY] = True
        await self._app(scope, receive, send)

    def _client(self, peer: Address, headers: Sequence[tuple[bytes, bytes]]) -> Address:
        """Return the address that the nearest trusted proxy saw; that of the last known proxy if it names none."""
        values = b",".join(value for name, value in headers if name == _FORWARDED).decode("latin-1")
        client = peer
        for text in reversed(values.split(",")):
            address = _parse(text)
            if address is None:
                break
            client = address
            if not self._trusts(address):
                break
        return client

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _parse(text: str) -> Address | None:
    """Return the address in `text`, also with a port, an IPv4 address in IPv6 form as itself; None for other text."""
    host = text.strip(" \t").partition("%")[0]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
