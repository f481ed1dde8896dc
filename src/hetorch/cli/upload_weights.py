"""`hetorch upload-weights`: send encrypted weights to the server that computes on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hetorch.cli.credential_options import (
    CaOption,
    CertOption,
    PlainOption,
    TokenFileOption,
    client_options,
)
from hetorch.progress import LINES, ProgressOption


def upload_weights(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The server's address, such as http://127.0.0.1:8000.")
    ],
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|PLAN",
            help="The file that encrypt-weights wrote, or the whole plan if you have the vault.",
        ),
    ],
    model: Annotated[str | None, typer.Option(help="The model's name, if the server has several.")] = None,
    vault: Annotated[
        Path | None,
        typer.Option(
            help="With PLAN: folder of the key vault; $HETORCH_VAULT, else ~/.local/share/hetorch/keys."
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds to wait for each answer; by default as long as the server allows itself."),
    ] = None,
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    cert: CertOption = None,
    allow_plain_http: PlainOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Upload the weights of a model that the server must not see.

    A FILE holds encrypted weights, and anyone can send it. The weights of a PLAN are encrypted with the key of your
    vault while they are sent.

    Example: [bold]hetorch upload-weights http://127.0.0.1:8000 digits.weights[/bold]
    """
    from hetorch.client import Client
    from hetorch.client import upload_weights as upload
    from hetorch.user_information import without_user_information

    progress: ProgressOption = False if as_json else LINES
    access = client_options(token_file, ca, cert, allow_plain_http=allow_plain_http)
    if weights.is_dir():
        with Client(url, model=model, vault=vault, timeout=timeout, progress=progress, **access) as client:
            client.upload_weights(weights)
            key_id = client.make_keys().key_id
    else:
        key_id = upload(url, weights, model=model, timeout=timeout, progress=progress, **access)
    if as_json:
        print(json.dumps({"url": without_user_information(url), "key_id": key_id}))
    else:
        print(f"the server has the weights for the keys {key_id[:12]}…")
