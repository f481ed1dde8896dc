"""`hetorch vault protect`: encrypt the secrets of a key vault, or change its passphrase."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hetorch.cli.help_text import paragraphs
from hetorch.cli.vault_options import (
    PassphraseOption,
    VaultOption,
    ask_passphrase,
    open_vault,
    read_passphrase,
)

GROUP = """Look after the key vault of a data owner.

Example: [bold]hetorch vault protect[/bold]
"""


def protect(
    vault: VaultOption = None,
    passphrase_file: PassphraseOption = None,
    new_passphrase_file: Annotated[
        Path | None,
        typer.Option(
            help="File whose first line is the new passphrase; asked for on a terminal if left out."
        ),
    ] = None,
) -> None:
    """Encrypt the secrets of a vault under a passphrase, or give it another one.

    Nobody can read the results of encrypted predictions when the passphrase is lost. Copies of the vault from before,
    in backups or on the disk, still have the secrets as they were.

    Example: [bold]hetorch vault protect --vault ~/keys[/bold]
    """
    from hetorch.client.vault import KEY, PASSPHRASE_VARIABLE, Vault, default_vault_path
    from hetorch.errors import InputError

    folder = vault.expanduser() if vault is not None else default_vault_path()
    sealed = (folder / KEY).exists()
    if not sealed and os.environ.get(PASSPHRASE_VARIABLE):
        raise InputError(
            f"{PASSPHRASE_VARIABLE} is set and the vault has no passphrase yet: unset it for this command"
        )
    opened = open_vault(vault, passphrase_file) if sealed else Vault(vault)
    if new_passphrase_file is not None:
        passphrase = read_passphrase(new_passphrase_file)
    elif sys.stdin.isatty():
        passphrase = ask_passphrase("New passphrase of the vault", twice=True)
    else:
        raise InputError("give --new-passphrase-file where there is no terminal to ask on")
    opened.protect(passphrase=passphrase)
    print(f"the secrets in {opened.path} are encrypted under the {'new ' if sealed else ''}passphrase")


vault = typer.Typer(
    name="vault",
    help=paragraphs(GROUP),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
vault.command("protect", help=paragraphs(protect.__doc__))(protect)
