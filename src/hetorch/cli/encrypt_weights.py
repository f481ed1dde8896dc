"""`hetorch encrypt-weights`: encrypt a model's weights for one data owner, so that the server cannot read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hetorch.progress import LINES, ProgressOption
from hetorch.quantities import size_text

MOST_KEY_BYTES = 1 << 28
"""Largest size of a public key file, in bytes. A key at the largest ring with a hundred primes has half of it."""


def encrypt_weights(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The folder of the whole plan.")],
    public_key: Annotated[
        Path, typer.Option(help="The file that the data owner wrote with `hetorch public-key`.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Encrypt the weights of a plan for the data owner, who can decrypt them; the server cannot.

    Example: [bold]hetorch encrypt-weights digits.hetorch --public-key theirs.key -o digits.weights[/bold]
    """
    from hetorch.cli.output_paths import check_file
    from hetorch.errors import InputError
    from hetorch.model_owner.encrypt import save_encrypted_weights
    from hetorch.plan.plan import Plan
    from hetorch.regular_files import read_regular

    check_file(output)
    whole = Plan.load(plan)
    try:
        if public_key.stat().st_size > MOST_KEY_BYTES:
            raise InputError(f"{public_key} is larger than {size_text(MOST_KEY_BYTES)}; it is no public key")
        key = read_regular(public_key)
    except OSError as error:
        raise InputError(f"cannot read {public_key}: {error.strerror or error}") from None
    progress: ProgressOption = False if as_json else LINES
    size = save_encrypted_weights(whole, key, output, progress)
    if as_json:
        print(json.dumps({"model": whole.name, "path": str(output), "bytes": size}))
    else:
        print(f"{size_text(size)} of encrypted weights are in {output}; hetorch upload-weights sends them")
