"""`hetorch federate demo`: four hospitals train a model together, and nobody sees another's update."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hetorch.cli.help_text import paragraphs

GROUP = """Train one model with several data owners, none of whom shows its records or updates.

Example: [bold]hetorch federate demo[/bold]
"""


def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The folder of the heart disease data of UCI (processed.cleveland.data and three more). That of "
            "$HETORCH_DATA if left out; a synthetic stand-in where there is none. Nothing is downloaded.",
        ),
    ] = None,
    rounds: Annotated[
        int,
        typer.Option(help="Rounds to finish with each model; a void one is not counted.", min=1, max=1000),
    ] = 10,
    seed: Annotated[
        int, typer.Option(help="Seed of the test records and of the training.", min=0, max=2**32 - 1)
    ] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the measurements as JSON.")
    ] = None,
) -> None:
    """Four hospitals train a logistic model and a small network on their records, each in a process of its own.

    An aggregator, one more process on this machine, adds their encrypted updates over HTTP. One hospital is killed
    after its upload, and the others finish the round; another one before it, the round is void, and three go on. Each
    round is compared with FedAvg in clear; at the end the network is compiled and answers encrypted queries.

    Ctrl-C ends all processes.

    Example: [bold]hetorch federate demo --rounds 4 --json federate.json[/bold]
    """
    from rich.console import Console

    from hetorch.cli.output_paths import check_file
    from hetorch.demo.federated.display import show
    from hetorch.demo.federated.run import run_federated_demo

    check_file(json_file)
    result = run_federated_demo(data, rounds, seed, lambda line: print(line, flush=True))
    print()
    show(result, Console())
    if json_file is not None:
        json_file.write_text(json.dumps(result.to_json(), indent=2) + "\n")


federate = typer.Typer(
    name="federate",
    help=paragraphs(GROUP),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@federate.callback()
def group() -> None:
    """Keep the group a group while it has one command."""


federate.command("demo", help=paragraphs(demo.__doc__))(demo)
