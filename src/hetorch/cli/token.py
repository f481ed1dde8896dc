"""`hetorch token add`, `list` and `revoke`: the API tokens of a server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from hetorch.cli.help_text import paragraphs

GROUP = """Make, list and revoke the API tokens of a server, in the file of hetorch serve --tokens.

Example: [bold]hetorch token add tokens.json ward-3 --tenant hospital --model digits -o ward-3.token[/bold]
"""

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The file of hetorch serve --tokens; it holds hashes of tokens only."
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name of the token.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add(
    file: FileArgument,
    name: NameArgument,
    tenant: Annotated[
        str | None,
        typer.Option(help="The owner of what is uploaded with the token; the token's name if left out."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model that it may use; may be repeated. All if left out.")
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(help="Days after which it is refused; never if left out.", min=0.0, max=36500),
    ] = None,
    operator: Annotated[
        bool,
        typer.Option("--operator", help="It may read the metrics and the status, which tell of all tenants."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the token to this file, which only you can read, instead of printing it.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token and print it: this once, since the file keeps its hash only. The file is made if it is missing.

    Example: [bold]hetorch token add tokens.json ward-3 --tenant hospital --model digits -o ward-3.token[/bold]
    """
    from hetorch.cli.output_paths import check_file
    from hetorch.errors import InputError
    from hetorch.server.tokens import editing, issue, load_tokens, save_tokens

    check_file(output)
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    text, token = issue(name, tenant or name, model or None, operator=operator, expires=expires)
    with editing(file) as target:
        tokens = load_tokens(target) if target.exists() else ()
        if any(other.name == name for other in tokens):
            raise InputError(
                f"{file} has a token {name!r} already; choose another name, or revoke that one first"
            )
        if output is not None:
            _write(output, text)
        save_tokens(target, (*tokens, token))
    where = {"token": text} if output is None else {"path": str(output)}
    if as_json:
        print(json.dumps({**where, "name": name, "tenant": token.tenant, "expires": token.expires}))
    elif output is None:
        print(text)
        typer.echo("this token is shown only now; give it to its user over a safe channel", err=True)
    else:
        print(f"the token {name!r} is in {output}; give it to its user over a safe channel")


def _write(output: Path, text: str) -> None:
    """Write a token to a file of mode 0600; StorageError if that fails."""
    from hetorch.atomic_files import write_atomically
    from hetorch.errors import StorageError

    try:
        write_atomically(output, f"{text}\n".encode())
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror or error}") from None


def list_tokens(file: FileArgument, as_json: JsonOption = False) -> None:
    """List the tokens: name, tenant, models, and when they were made and expire.

    Example: [bold]hetorch token list tokens.json[/bold]
    """
    from hetorch.server.tokens import load_tokens

    now = datetime.now(UTC)
    tokens = load_tokens(file)
    if as_json:
        entries = [
            {
                "name": token.name,
                "tenant": token.tenant,
                "models": None if token.models is None else list(token.models),
                "operator": token.operator,
                "created": token.created,
                "expires": token.expires,
                "expired": token.is_expired(now),
            }
            for token in tokens
        ]
        print(json.dumps({"tokens": entries}))
        return
    for token in tokens:
        models = "all models" if token.models is None else ", ".join(token.models)
        until = (
            ""
            if token.expires is None
            else f", {'expired' if token.is_expired(now) else 'until'} {token.expires}"
        )
        operator = ", operator" if token.operator else ""
        print(f"{token.name}: tenant {token.tenant}, {models}{operator}, made {token.created}{until}")
    if not tokens:
        print("there are no tokens")


def revoke(file: FileArgument, name: NameArgument, as_json: JsonOption = False) -> None:
    """Revoke a token: a running server refuses it from its next request on.

    Example: [bold]hetorch token revoke tokens.json ward-3[/bold]
    """
    from hetorch.errors import InputError
    from hetorch.server.tokens import editing, load_tokens, save_tokens

    with editing(file) as target:
        tokens = load_tokens(target)
        left = [token for token in tokens if token.name != name]
        if len(left) == len(tokens):
            raise InputError(f"{file} has no token {name!r}; `hetorch token list` shows its names")
        save_tokens(target, left)
    print(json.dumps({"revoked": name}) if as_json else f"revoked {name}")


token = typer.Typer(
    name="token",
    help=paragraphs(GROUP),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
token.command("add", help=paragraphs(add.__doc__))(add)
token.command("list", help=paragraphs(list_tokens.__doc__))(list_tokens)
token.command("revoke", help=paragraphs(revoke.__doc__))(revoke)
