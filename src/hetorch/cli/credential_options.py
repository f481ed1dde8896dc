"""The options of all verbs that ask a server: its token and certificates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hetorch.errors import StorageError
from hetorch.regular_files import read_regular

if TYPE_CHECKING:
    from hetorch.client.credentials import Credentials

MAX_TOKEN_FILE_BYTES = 8192
"""Most bytes of a file with a token; a larger file is another one."""

TokenFileOption = Annotated[
    Path | None, typer.Option(help="File with the API token for the server; $HETORCH_TOKEN if left out.")
]
CaOption = Annotated[
    Path | None,
    typer.Option(help="Roots (PEM) that the server's certificate must come from; the system's if left out."),
]
CertOption = Annotated[
    Path | None, typer.Option(help="Your certificate with its key (PEM), for a server that asks for one.")
]
PlainOption = Annotated[
    bool,
    typer.Option(
        "--allow-plain-http",
        help="Send the token or password without TLS too, where everyone on the way reads it.",
    ),
]


def read_credentials(
    token_file: Path | None, ca: Path | None, cert: Path | None, *, allow_plain_http: bool
) -> Credentials:
    """Return what these options say; StorageError if the file of the token cannot be read."""
    from hetorch.client.credentials import Credentials

    token = None if token_file is None else _read(token_file)
    return Credentials(token, None, ca, cert, allow_plain_http)


def client_options(
    token_file: Path | None, ca: Path | None, cert: Path | None, *, allow_plain_http: bool
) -> dict[str, Any]:
    """Return the arguments of hetorch.Client that these options are; StorageError as read_credentials."""
    read = read_credentials(token_file, ca, cert, allow_plain_http=allow_plain_http)
    return {
        "token": read.token,
        "verify": read.verify,
        "cert": read.cert,
        "allow_plain_http": read.allow_plain_http,
    }


def _read(path: Path) -> str:
    try:
        data = read_regular(path, MAX_TOKEN_FILE_BYTES)
    except OSError as error:
        raise StorageError(f"cannot read the token in {path}: {error.strerror or error}") from None
    return data.decode("utf-8", "replace").strip()
