"""`hetorch predict`: encrypted predictions for the samples of a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hetorch.cli.credential_options import (
    CaOption,
    CertOption,
    PlainOption,
    TokenFileOption,
    client_options,
)
from hetorch.cli.predicted import Predicted, Wish
from hetorch.cli.vault_options import PassphraseOption, VaultOption, open_vault
from hetorch.progress import LINES

UrlArgument = Annotated[
    str, typer.Argument(metavar="URL", help="The server's address, such as http://127.0.0.1:8000.")
]
SamplesArgument = Annotated[
    Path, typer.Argument(metavar="X.npy", help="The file with one sample or a batch: .npy, .npz or .csv.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", help="Write the outputs to this file (.npy, .npz or .csv), which only you may read."
    ),
]
ModelOption = Annotated[str | None, typer.Option(help="The model's name, if the server has several.")]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        help="For a server that must not see the model: the whole plan, or a file that encrypt-weights wrote."
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(help="Seconds to wait for each answer; by default as long as the server allows itself."),
]
SharingOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of results of your key that will be shared in all; adds the noise that they need before others "
        "see them.",
    ),
]
BoundOption = Annotated[
    float | None,
    typer.Option(
        help="With --for-sharing: a bound of the encryption error in the unit of the output; the plan's predicted "
        "error if left out, which is the least. The noise, over 100,000 times as large, is computed from it: it is not "
        "the accuracy that you get."
    ),
]
PinnedOption = Annotated[
    str | None,
    typer.Option(
        help="The plan that the server must run: its folder, or the SHA-256 of its public part (hetorch inspect), from "
        "whoever compiled it. --for-sharing needs it."
    ),
]
ProbaOption = Annotated[
    bool, typer.Option("--proba", help="The probabilities of a classifier's classes, not its scores.")
]
LabelsOption = Annotated[
    bool, typer.Option("--labels", help="The labels that a classifier chooses, not its scores.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def predict(
    url: UrlArgument,
    inputs: SamplesArgument,
    output: OutputOption = None,
    model: ModelOption = None,
    vault: VaultOption = None,
    passphrase_file: PassphraseOption = None,
    weights: WeightsOption = None,
    timeout: TimeoutOption = None,
    for_sharing: SharingOption = None,
    error_bound: BoundOption = None,
    pinned: PinnedOption = None,
    proba: ProbaOption = False,
    labels: LabelsOption = False,
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    cert: CertOption = None,
    allow_plain_http: PlainOption = False,
    as_json: JsonOption = False,
) -> None:
    """Encrypt samples, let the server compute on them, and decrypt the results.

    A .csv whose first line names the columns is a table: its columns are taken by name, in any order, and may hold
    categories if the model takes some. Several outputs are written by name, to a .npz.

    Example: [bold]hetorch predict http://127.0.0.1:8000 digits.npy -o logits.npy[/bold]
    """
    from hetorch.cli.tables import as_plan_input, load_samples
    from hetorch.client import Client

    wish = Wish(output, for_sharing, error_bound, proba=proba, labels=labels)
    wish.check()
    access = client_options(token_file, ca, cert, allow_plain_http=allow_plain_http)
    loaded = load_samples(inputs)
    start = time.perf_counter()
    with Client(
        url,
        model=model,
        vault=open_vault(vault, passphrase_file),
        timeout=timeout,
        progress=False if as_json else LINES,
        weights=weights,
        pinned=pinned,
        **access,
    ) as client:
        plan = client.plan
        wish.check_plan(plan)
        samples, single = plan.samples(as_plan_input(plan, loaded, inputs), fewest=1, refuse_far=False)
        results = client.predict_samples(samples, for_sharing=wish.sharing)
    predicted = Predicted(wish, client, samples, wish.outputs(plan, results[0] if single else results))
    predicted.save()
    if as_json:
        predicted.print_json(time.perf_counter() - start)
    else:
        predicted.print_text()
