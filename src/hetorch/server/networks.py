"""The networks of trusted proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from hetorch.errors import InputError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_proxies(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks of proxies; InputError if one is not the address or network of some machines."""
    networks: list[Network] = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise InputError(
                f"{text!r} is not the address or network of a proxy, such as 10.0.0.5 or 10.0.0.0/24: {error}"
            ) from None
        if network.prefixlen == 0:
            raise InputError(
                f"{text!r} has all addresses, so that anyone would be a trusted proxy and could claim to be another; "
                "name the proxy's own address or network"
            )
        networks.append(network)
    return tuple(networks)
