"""The base address of a server. The name and password that it may hold go into requests, and never into a message."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

import httpx

from hetorch.errors import InputError

_USER_INFORMATION = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:/{1,2}|//)?.*@", re.DOTALL)
"""User information at the beginning of an address, even of a malformed one: all but the scheme up to the last '@'."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The base address of a server, without a slash at its end.

    `url` has no user information and is fit for messages; `auth` is the user information as basic authentication, None
    if there is none.
    """

    url: str
    auth: httpx.BasicAuth | None = field(repr=False)

    @classmethod
    def parse(cls, text: object) -> ServerAddress:
        """Parse an address such as http://host:port or https://name:password@host/path; InputError for any other."""
        shown = _USER_INFORMATION.sub(r"\1", str(text))
        try:
            parsed = httpx.URL(text)  # type: ignore[arg-type]  # its TypeError is one of ours
        except (httpx.InvalidURL, TypeError) as error:
            reason = (
                f": {error}" if shown == str(text) else "; write '/', '?', '#' and '@' in a password as %XX"
            )
            raise InputError(f"{shown!r} is not an address{reason}") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise InputError(f"{shown!r} is not an address of a server; write it as http://host:port")
        if parsed.query or parsed.fragment or b"@" in parsed.raw_path:
            raise InputError(
                f"{shown!r} is not an address of a server: it has a '?', '#' or '@' behind its host; write such "
                "characters of a password as %3F, %23, %40, and '/' as %2F"
            )
        named = parsed.username or parsed.password
        auth = httpx.BasicAuth(parsed.username, parsed.password) if named else None
        return cls(str(parsed.copy_with(username="", password="")).rstrip("/"), auth)

    @property
    def is_loopback(self) -> bool:
        """True if this is an address of this machine itself."""
        host = httpx.URL(self.url).host
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False
