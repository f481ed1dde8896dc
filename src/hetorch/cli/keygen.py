"""`hetorch keygen`: make a model's keys before the first prediction."""

from __future__ import annotations

import json
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


def keygen(
    target: Annotated[str, typer.Argument(metavar="PLAN|URL", help="A plan folder or a server's address.")],
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
    """Make the secret key and the evaluation keys for a model, and keep them in the vault.

    The first prediction makes keys that are not there yet. With this command they are made in advance.

    Example: [bold]hetorch keygen http://127.0.0.1:8000[/bold]
    """
    from hetorch.cli.target import public_plan
    from hetorch.client.key_making import stored_evaluation_keys
    from hetorch.client.trust import DEFAULT_MAX_KEY_BYTES, check_plan
    from hetorch.plan.key_groups import key_groups, key_lines

    plan = public_plan(
        target, model, timeout, read_credentials(token_file, ca, cert, allow_plain_http=allow_plain_http)
    )
    check_plan(plan, allow_insecure=False, max_key_bytes=DEFAULT_MAX_KEY_BYTES)
    opened = open_vault(vault, passphrase_file)
    progress: ProgressOption = False if as_json else LINES
    keys = stored_evaluation_keys(plan, opened, progress)
    if as_json:
        print(
            json.dumps(
                {
                    "model": plan.name,
                    "vault": str(opened.path),
                    "key_id": keys.key_id,
                    "evaluation_key_bytes": keys.size,
                    "keys": [group.to_json() for group in key_groups(plan.parameters, plan.key_spec)],
                }
            )
        )
    else:
        print(f"{size_text(keys.size)} of evaluation keys ({keys.key_id[:12]}…) are in {opened.path}")
        for line in key_lines(plan.parameters, plan.key_spec):
            print(f"  {line}")
