"""What a client shows to a server, and what it demands of it: token, headers, certificates. Secrets go into requests,
and never into a message."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from hetorch.client.server_address import ServerAddress
from hetorch.errors import InputError
from hetorch.regular_files import check_regular
from hetorch.wire.addresses import KEY_ID_HEADER

TOKEN_VARIABLE = "HETORCH_TOKEN"
"""The environment variable with the token, where none is given."""
OURS = frozenset(
    {
        *(
            "accept-encoding",
            "authorization",
            "connection",
            "content-length",
            "content-type",
            "expect",
            "host",
        ),
        *("transfer-encoding", KEY_ID_HEADER.lower()),
    }
)
"""Headers that the client itself sets."""
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}=*")
"""The form of a bearer token (RFC 6750)."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]{0,8190}[!-~])?")

StrPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that a client shows and demands. InputError if one of them cannot be used.

    Args:
        token: the API token; None for that of HETORCH_TOKEN, or none.
        headers: more headers for every request, such as a proxy may ask for.
        verify: the roots that the server's certificate must come from: a file or folder in PEM, or an SSLContext. None
            for those of the system.
        cert: the client's certificate for mutual TLS, in PEM: a file that holds its key too, or the files of both. The
            key has no passphrase.
        allow_plain_http: send the token, or the name and password in the address, over plain HTTP to another machine
            too, where everyone on the way can read them.
    """

    token: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    verify: StrPath | ssl.SSLContext | None = None
    cert: StrPath | tuple[StrPath, StrPath] | None = None
    allow_plain_http: bool = False

    def headers_for(self, address: ServerAddress) -> dict[str, str]:
        """Return the headers of every request to an address; InputError if its token, or the name and password in the
        address, must not go there."""
        headers = _checked(self.headers or {})
        readable = address.url.startswith("http:") and not address.is_loopback and not self.allow_plain_http
        if readable and address.auth is not None:
            raise InputError(
                f"the name and password in the address of {address.url} are not sent: over plain HTTP everyone on the "
                "way can read them; use https://, or say allow_plain_http= if nobody can"
            )
        source = "token=" if self.token is not None else TOKEN_VARIABLE
        token = self.token if self.token is not None else os.environ.get(TOKEN_VARIABLE)
        if not token and self.token is None:
            return headers
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise InputError(
                f"{source} is not an API token: one word of letters, digits and '._~+/-', as `hetorch token add` prints"
            )
        if address.auth is not None:
            raise InputError(
                f"{source} and the name and password in the address of {address.url} exclude each other: both are an "
                "Authorization header"
            )
        if readable:
            raise InputError(
                f"the token of {source} is not sent to {address.url}: over plain HTTP everyone on the way can read it; "
                "use https://, or say allow_plain_http= if nobody can"
            )
        return headers | {"Authorization": f"Bearer {token}"}

    def tls(self) -> ssl.SSLContext | bool:
        """Return the TLS of the client: True for httpx's own."""
        if self.verify is None and self.cert is None:
            return True
        if isinstance(self.verify, bool):
            raise InputError(
                f"verify={self.verify} is not taken: give the file of the root that the server's certificate comes "
                "from; without a check anyone on the way could answer in the server's name"
            )
        context = self.verify if isinstance(self.verify, ssl.SSLContext) else _trusting(self.verify)
        if self.cert is not None:
            files = self.cert if isinstance(self.cert, tuple) else (self.cert,)
            shown = " and ".join(str(file) for file in files)
            try:
                for file in files:
                    check_regular(file)
                # An empty passphrase: OpenSSL would ask for one on the terminal.
                context.load_cert_chain(files[0], files[1] if len(files) > 1 else None, password="")
            except ssl.SSLError as error:
                raise InputError(
                    f"the client's certificate in {shown} cannot be used: {error.reason or error}; it must be PEM, "
                    "with its key, which has no passphrase"
                ) from None
            except (OSError, ValueError, TypeError) as error:
                raise InputError(
                    f"cannot read the client's certificate in {shown}: {_reason(error)}"
                ) from None
        return context


NONE = Credentials()
"""Nothing but the token of HETORCH_TOKEN, if there is one."""


def _trusting(roots: StrPath | None) -> ssl.SSLContext:
    """Return a context that trusts the roots in a file or folder, or those of the system."""
    if roots is None:
        return httpx.create_ssl_context()
    try:
        check_regular(roots)
        if Path(roots).is_dir():
            return ssl.create_default_context(capath=roots)
        return ssl.create_default_context(cafile=roots)
    except ssl.SSLError as error:
        raise InputError(f"{roots} has no certificates: {error.reason or error}; it must be PEM") from None
    except (OSError, TypeError) as error:
        raise InputError(f"cannot read the certificates in {roots}: {_reason(error)}") from None


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers; InputError, which shows no value, if one is none or is the client's own."""
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise InputError(f"{str(name)[:60]!r} is not the name of a header")
        if name.lower() in OURS:
            instead = "give token=" if name.lower() == "authorization" else "leave it out"
            raise InputError(f"the header {name!r} is one that the client sets; {instead}")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise InputError(f"the value of the header {name!r} is not printable ASCII in one line")
    return dict(headers)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
