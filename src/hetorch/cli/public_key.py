"""`hetorch public-key`: the key with which a model's owner encrypts its weights for you."""

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
    read_credentials,
)
from hetorch.cli.vault_options import PassphraseOption, VaultOption, open_vault
from hetorch.progress import LINES, ProgressOption
from hetorch.quantities import size_text


def public_key(
    target: Annotated[str, typer.Argument(metavar="PLAN|URL", help="A plan folder or a server's address.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write; it is not secret.")],
    model: Annotated[str | None, typer.Option(help="The model's name, if the server has several.")] = None,
    vault: VaultOption = None,
    passphrase_file: PassphraseOption = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait for each answer of the server; a minute by default.")
    ] = None,
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    cert: CertOption = None,
    allow_plain_http: PlainOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the public key with which the owner of a model encrypts its weights for you.

    Send the key to the owner yourself: one that is taken from the server may not be yours.

    Example: [bold]hetorch public-key http://127.0.0.1:8000 -o mine.key[/bold]
    """
    from hetorch.cli.output_paths import check_file
    from hetorch.cli.target import public_plan
    from hetorch.client.key_making import public_key_message
    from hetorch.client.trust import DEFAULT_MAX_KEY_BYTES, check_plan
    from hetorch.errors import StorageError

    check_file(output)
    plan = public_plan(
        target, model, timeout, read_credentials(token_file, ca, cert, allow_plain_http=allow_plain_http)
    )
    check_plan(plan, allow_insecure=False, max_key_bytes=DEFAULT_MAX_KEY_BYTES)
    opened = open_vault(vault, passphrase_file)
    progress: ProgressOption = False if as_json else LINES
    message = public_key_message(plan, opened, progress)
    try:
        output.write_bytes(message)
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror or error}") from None
    if as_json:
        print(json.dumps({"model": plan.name, "path": str(output), "bytes": len(message)}))
    else:
        print(f"a public key for {plan.name!r} is in {output} ({size_text(len(message))})")
