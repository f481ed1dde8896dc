"""The options of all verbs that use a key vault: its folder, and the passphrase of a sealed one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hetorch.errors import InputError, StorageError
from hetorch.regular_files import read_regular

if TYPE_CHECKING:
    from hetorch.client import Vault

MAX_PASSPHRASE_FILE_BYTES = 8192
"""Most bytes of a file with a passphrase; a larger file is another one."""

VaultOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the key vault; $HETORCH_VAULT, else ~/.local/share/hetorch/keys."),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        help="File whose first line is the passphrase of the vault; $HETORCH_VAULT_PASSPHRASE if left out, and asked "
        "for on a terminal if the vault needs one."
    ),
]


def open_vault(path: Path | None, passphrase_file: Path | None) -> Vault:
    """Open the vault of these options; VaultError if it cannot be used, StorageError if the file cannot be read."""
    from hetorch.client.vault import KEY, PASSPHRASE_VARIABLE, Vault, default_vault_path

    passphrase = None if passphrase_file is None else read_passphrase(passphrase_file)
    if passphrase is None and not os.environ.get(PASSPHRASE_VARIABLE):
        folder = path.expanduser() if path is not None else default_vault_path()
        if (folder / KEY).exists() and sys.stdin.isatty():
            passphrase = ask_passphrase(f"Passphrase of the vault {folder}")
    return Vault(path, passphrase=passphrase)


def read_passphrase(path: Path) -> str:
    """Return the first line of a file; StorageError if it cannot be read, InputError if it is empty or no text."""
    try:
        data = read_regular(path, MAX_PASSPHRASE_FILE_BYTES)
        line = data.decode().splitlines()[:1]
    except OSError as error:
        raise StorageError(f"cannot read the passphrase in {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"the passphrase in {path} is no text in UTF-8") from None
    if not line or not line[0]:
        raise InputError(f"{path} has no passphrase in its first line")
    return line[0]


def ask_passphrase(prompt: str, *, twice: bool = False) -> str:
    """Ask for a passphrase on the terminal, which does not show it."""
    answer: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
    return answer
