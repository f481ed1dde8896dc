"""`hetorch models add`, `retire` and `list`: the models of a running server, in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hetorch.cli.help_text import paragraphs

GROUP = """Add, retire and list the models of a server, in the folder of hetorch serve --models-folder.

A running server serves a new version within seconds, and the older ones until they are retired.

Example: [bold]hetorch models add models digits.hetorch[/bold]
"""

FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The folder of hetorch serve --models-folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add(
    folder: FolderArgument,
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The folder of the plan; it is copied.")],
    name: Annotated[
        str | None,
        typer.Option(help="The model's name; that of the plan's folder without .hetorch if left out."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a plan as the newest version of a model. Clients that are running go on with the version that they have.

    Example: [bold]hetorch models add models digits.hetorch[/bold]
    """
    from hetorch.serving.models.model_folder import ModelFolder

    version = ModelFolder(folder).add(plan, name)
    if as_json:
        print(json.dumps({"name": version.name, "version": version.fingerprint, "path": str(version.path)}))
    else:
        print(f"{version.name} has the newest version {version.fingerprint}")


def retire(
    folder: FolderArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")],
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="The first digits of the version's fingerprint.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Delete a version of a model: its clients fetch the newest one, if there is another.

    Example: [bold]hetorch models retire models digits 0f3a5b[/bold]
    """
    from hetorch.serving.models.model_folder import ModelFolder

    gone = ModelFolder(folder).retire(name, version)
    shown = {"name": gone.name, "retired": gone.fingerprint}
    print(json.dumps(shown) if as_json else f"retired the version {gone.fingerprint} of {gone.name}")


def list_models(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """List the models and their versions, the newest last.

    Example: [bold]hetorch models list models[/bold]
    """
    from hetorch.serving.models.model_folder import ModelFolder

    versions = ModelFolder(folder).versions()
    newest = {version.name: version for version in versions}
    if as_json:
        entries = [
            {"name": v.name, "version": v.fingerprint, "newest": newest[v.name] == v} for v in versions
        ]
        print(json.dumps({"models": entries}))
        return
    for version in versions:
        print(f"{version.name} {version.fingerprint}{' (newest)' if newest[version.name] == version else ''}")
    if not versions:
        print("there are no models")


models = typer.Typer(
    name="models",
    help=paragraphs(GROUP),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
models.command("add", help=paragraphs(add.__doc__))(add)
models.command("retire", help=paragraphs(retire.__doc__))(retire)
models.command("list", help=paragraphs(list_models.__doc__))(list_models)
