"""`hetorch top`: what a server does, in the terminal."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from hetorch.cli.credential_options import (
    CaOption,
    CertOption,
    PlainOption,
    TokenFileOption,
    read_credentials,
)

DEFAULT_INTERVAL = 2.0
"""Seconds between two looks; the server makes a status in some milliseconds."""
TIMEOUT = 10.0
"""Seconds to wait for a status, which a server has at hand."""


def top(
    url: Annotated[str, typer.Argument(metavar="URL", help="The server's address.")],
    once: Annotated[bool, typer.Option("--once", help="Print the state once, for scripts and logs.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = DEFAULT_INTERVAL,
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    cert: CertOption = None,
    allow_plain_http: PlainOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state once, as JSON.")] = False,
) -> None:
    """Show what a server does: models, workers, queue, keys, memory, answers and the last errors; Ctrl-C ends.

    A server with API tokens asks for one that was made with --operator.

    Example: [bold]hetorch top http://127.0.0.1:8000[/bold]
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from hetorch.cli.status_view import status_view
    from hetorch.client.blocking import finish
    from hetorch.client.transport import Transport
    from hetorch.errors import RemoteError
    from hetorch.wire.addresses import STATUS
    from hetorch.wire.limits import MAX_STATUS_BYTES
    from hetorch.wire.status import Status, dump_status, load_status

    console = Console(highlight=False)
    credentials = read_credentials(token_file, ca, cert, allow_plain_http=allow_plain_http)
    transport = Transport(url, timeout=TIMEOUT, credentials=credentials)

    def look() -> Status:
        return load_status(finish(transport.get(STATUS, limit=MAX_STATUS_BYTES)))

    try:
        if as_json:
            print(dump_status(look()).decode())
        elif once or not console.is_terminal:
            console.print(status_view(look(), transport.url))
        else:
            with Live(status_view(look(), transport.url), console=console, screen=True) as live:
                while True:
                    time.sleep(interval)
                    try:
                        live.update(status_view(look(), transport.url), refresh=True)
                    except RemoteError as error:  # the server may come back
                        live.update(Text(str(error), "red"), refresh=True)
    finally:
        finish(transport.close())
