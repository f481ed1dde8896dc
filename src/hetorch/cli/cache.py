"""`hetorch cache list` and `hetorch cache clear`: what hetorch keeps on this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hetorch.cli.help_text import paragraphs
from hetorch.quantities import count_text, size_text

if TYPE_CHECKING:
    from hetorch.cli.cache_contents import Kept

GROUP = """Show or clear what hetorch keeps on this machine: tuned constants, keys, uploads of clients.

Example: [bold]hetorch cache list[/bold]
"""

VaultOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the key vault; $HETORCH_VAULT, else ~/.local/share/hetorch/keys."),
]


def list_kept(
    vault: VaultOption = None,
    key_folder: Annotated[
        Path | None, typer.Option(help="The folder of hetorch serve --key-folder, to show what it holds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what hetorch keeps on this machine: where it is, how large it is, and what it saves.

    Example: [bold]hetorch cache list[/bold]
    """
    from hetorch.cli.cache_contents import kept_things

    things = kept_things(vault, key_folder)
    total = sum(thing.size for thing in things)
    if as_json:
        print(json.dumps({"kept": [thing.to_dict() for thing in things], "bytes": total}))
        return
    width = max(len(thing.kind) for thing in things)
    for thing in things:
        size = size_text(thing.size) if thing.files else "-"
        print(f"{thing.kind:<{width}}  {size:>9}  {thing.content}")
        print(f"{'':<{width}}  {'where':>9}  {thing.place}")
        if thing.saves:
            print(f"{'':<{width}}  {'saves':>9}  {thing.saves}")
    print(f"\n{size_text(total)} in all")


def clear(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(metavar="KIND...", help="tuning or evaluation-keys; tuning if left out."),
    ] = None,
    vault: VaultOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; needs --yes.")] = False,
) -> None:
    """Clear the tuned constants or, if they are named, the evaluation keys. It says what is lost, and asks first.

    Secret keys are never cleared: what was encrypted under them would be lost.

    Example: [bold]hetorch cache clear tuning --yes[/bold]
    """
    from hetorch.cli.cache_contents import kept_things
    from hetorch.errors import InputError

    if as_json and not yes:
        raise typer.BadParameter("nobody is asked with --json; add --yes", param_hint="'--json'")
    things = [thing for thing in _chosen(kept_things(vault, None), kinds or []) if thing.files]
    if things and not yes:
        for thing in things:
            print(
                f"{thing.kind}: {count_text(len(thing.files), 'file')}, {size_text(thing.size)}, in {thing.place}"
            )
            print(f"  lost: {thing.loss}")
        print("clear? [y/N] ", end="", flush=True)
        answer = sys.stdin.readline()
        if not answer:
            print()
            raise InputError("nobody answered, so nothing was cleared; --yes clears without asking")
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing was cleared")
            return
    freed = sum(_remove(thing) for thing in things)
    if as_json:
        print(json.dumps({"cleared": [thing.kind for thing in things], "bytes": freed}))
    elif things:
        print(f"cleared {', '.join(thing.kind for thing in things)}: {size_text(freed)}")
    else:
        print("there is nothing to clear")


def _chosen(things: tuple[Kept, ...], kinds: list[str]) -> list[Kept]:
    """Return the things of these kinds, or those that are cleared by default; InputError for any other kind."""
    from hetorch.errors import InputError

    if not kinds:
        return [thing for thing in things if thing.by_default]
    clearable = {thing.kind: thing for thing in things if thing.loss}
    for kind in kinds:
        if kind in clearable:
            continue
        thing = next((one for one in things if one.kind == kind), None)
        if thing is None:
            raise InputError(f"there is no kind {kind!r}; tuning and evaluation-keys can be cleared")
        if kind == "secret-keys":
            raise InputError(
                "secret keys are not cleared: what was encrypted under them could never be read again; to retire one, "
                f"delete its folder in {thing.place} yourself"
            )
        raise InputError(f"{kind} are not cleared by this command; hetorch cache list says where they are")
    return [clearable[kind] for kind in dict.fromkeys(kinds)]


def _remove(thing: Kept) -> int:
    """Delete the files, and return their size."""
    from hetorch.errors import StorageError

    freed = 0
    for file in thing.files:
        try:
            size = file.stat().st_size
            file.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(f"{file} cannot be deleted: {error.strerror}") from error
        freed += size
    return freed


cache = typer.Typer(
    name="cache",
    help=paragraphs(GROUP),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
cache.command("list", help=paragraphs(list_kept.__doc__))(list_kept)
cache.command("clear", help=paragraphs(clear.__doc__))(clear)
