"""`hetorch keys list` and `delete`: what clients have uploaded to the key folder of a server on this machine, or to the
store that several servers share."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hetorch.cli.help_text import paragraphs

if TYPE_CHECKING:
    from hetorch.serving.keys.catalogue import Entry
    from hetorch.serving.keys.shared_store import SharedStore, SharedUpload

GROUP = """List and delete what clients have uploaded to a server, in the folder of hetorch serve --key-folder, or in
the store of --key-share.

Example: [bold]hetorch keys list keys[/bold]
"""

FolderArgument = Annotated[
    str,
    typer.Argument(
        metavar="FOLDER",
        help="The folder of hetorch serve --key-folder, or the address of --key-share, such as s3://bucket/keys.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def list_keys(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """List evaluation keys and encrypted weights: tenant, key id, size, and when they were last used.

    Example: [bold]hetorch keys list keys[/bold]
    """
    from hetorch.quantities import count_text, size_text
    from hetorch.serving.keys.administration import list_stored

    if "://" in folder:
        _print_shared(_shared(folder).uploads(), as_json, "uploads")
        return
    entries = list_stored(Path(folder))
    if as_json:
        print(json.dumps({"uploads": [_members(entry) for entry in entries]}))
        return
    for entry in entries:
        tenant = f"tenant {entry.slot.tenant}" if entry.slot.tenant else "no tenant"
        used = f"last used {_time(entry.used)}" if entry.uses else "never used"
        print(f"{entry.slot.key_id} {entry.what}: {tenant}, {size_text(entry.bytes)}, {used}")
    print(f"{count_text(len(entries), 'upload')}, {size_text(sum(entry.bytes for entry in entries))}")


def delete(
    folder: FolderArgument,
    key_id: Annotated[
        str | None, typer.Argument(metavar="[KEY_ID]", help="The id of evaluation keys, as list shows it.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Delete only what belongs to this tenant.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Delete all, where neither a key id nor a tenant is given.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete evaluation keys and the encrypted weights that belong to them, by key id or tenant, or all.

    A server may run meanwhile, and those that share a store notice within a minute. Clients that still need their keys
    upload them again. What is deleted in the folder of one server alone comes back from the store that it shares.

    Example: [bold]hetorch keys delete keys --tenant hospital[/bold]
    """
    from hetorch.errors import InputError
    from hetorch.quantities import count_text
    from hetorch.serving.keys.administration import delete_stored

    if everything == (key_id is not None or tenant is not None):
        raise InputError("give a key id, or --tenant, or --all")
    if "://" in folder:
        shared = _shared(folder)
        uploads = shared.uploads(tenant, key_id)
        shared.delete_uploads(uploads)
        if not uploads and not everything:
            raise InputError(f"{folder} has nothing of this key id or tenant; give the id whole")
        _print_shared(uploads, as_json, "deleted")
        return
    deleted = delete_stored(Path(folder), key_id=key_id, tenant=tenant)
    if not deleted and not everything:
        raise InputError(
            f"{folder} has nothing of this key id or tenant; `hetorch keys list` shows both; give the id whole"
        )
    if as_json:
        print(json.dumps({"deleted": [_members(entry) for entry in deleted]}))
    else:
        print(f"deleted {count_text(len(deleted), 'upload')}")


def _shared(address: str) -> SharedStore:
    from hetorch.serving.keys.shared_store import SharedStore

    return SharedStore(address)


def _print_shared(uploads: list[SharedUpload], as_json: bool, word: str) -> None:
    """Print uploads of a shared store, which knows hashes of tenants and no times of use."""
    from hetorch.quantities import count_text, size_text

    if as_json:
        members = [
            {"tenant_hash": one.tenant, "key_id": one.key_id, "kind": one.what, "bytes": one.bytes}
            for one in uploads
        ]
        print(json.dumps({word: members}))
        return
    if word == "uploads":
        for one in uploads:
            print(f"{one.key_id} {one.what}: tenant with the hash {one.tenant}, {size_text(one.bytes)}")
    prefix = "" if word == "uploads" else f"{word} "
    print(f"{prefix}{count_text(len(uploads), 'upload')}, {size_text(sum(one.bytes for one in uploads))}")


def _members(entry: Entry) -> dict[str, Any]:
    return {
        "tenant": entry.slot.tenant or None,
        "key_id": entry.slot.key_id,
        "kind": entry.what,
        "bytes": entry.bytes,
        "created": _time(entry.created),
        "used": _time(entry.used),
        "uses": entry.uses,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


keys = typer.Typer(
    name="keys",
    help=paragraphs(GROUP),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
keys.command("list", help=paragraphs(list_keys.__doc__))(list_keys)
keys.command("delete", help=paragraphs(delete.__doc__))(delete)
