"""`hetorch predict`: encrypted predictions for the samples of a file."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hetorch.cli.credential_options import (
    CaOption,
    CertOption,
    PlainOption,
    TokenFileOption,
    read_credentials,
)
from hetorch.cli.vault_options import PassphraseOption, VaultOption, open_vault
from hetorch.errors import InputError
from hetorch.quantities import count_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hetorch.client import Client
    from hetorch.plan import PublicPlan

    Array = NDArray[np.float64]
    AnyArray = NDArray[np.generic]


def predict(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The server's address, such as http://127.0.0.1:8000.")
    ],
    inputs: Annotated[
        Path, typer.Argument(metavar="X.npy", help="The file with one sample or a batch: .npy, .npz or .csv.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the outputs to this file (.npy, .npz or .csv), which only you may read.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model's name, if the server has several.")] = None,
    vault: VaultOption = None,
    passphrase_file: PassphraseOption = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="For a server that must not see the model: the whole plan, or a file that encrypt-weights wrote."
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds to wait for each answer; by default as long as the server allows itself."),
    ] = None,
    for_sharing: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of results of your key that will be shared in all; adds the noise that they need before "
            "others see them.",
        ),
    ] = None,
    error_bound: Annotated[
        float | None,
        typer.Option(
            help="With --for-sharing: a bound of the encryption error in the unit of the output; the plan's predicted "
            "error if left out, which is the least. The noise, over 100,000 times as large, is computed from it: it is "
            "not the accuracy that you get."
        ),
    ] = None,
    pinned: Annotated[
        str | None,
        typer.Option(
            help="The plan that the server must run: its folder, or the SHA-256 of its public part (hetorch inspect), "
            "from whoever compiled it. --for-sharing needs it."
        ),
    ] = None,
    proba: Annotated[
        bool, typer.Option("--proba", help="The probabilities of a classifier's classes, not its scores.")
    ] = False,
    labels: Annotated[
        bool, typer.Option("--labels", help="The labels that a classifier chooses, not its scores.")
    ] = False,
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    cert: CertOption = None,
    allow_plain_http: PlainOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Encrypt samples, let the server compute on them, and decrypt the results.

    A .csv whose first line names the columns is a table: its columns are taken by name, in any order, and may hold
    categories if the model takes some. Several outputs are written by name, to a .npz.

    Example: [bold]hetorch predict http://127.0.0.1:8000 digits.npy -o logits.npy[/bold]
    """
    # Long because every option of the verb is a parameter with its help.
    import numpy as np

    from hetorch.cli.arrays import check_output, save_arrays
    from hetorch.cli.output_paths import check_file
    from hetorch.cli.tables import as_plan_input, load_samples
    from hetorch.client import Client, Sharing
    from hetorch.client.sharing_noise import sharing_noise
    from hetorch.plan.inputs import beyond_range

    if output is not None:
        check_output(output)
    check_file(output)
    if for_sharing is None and error_bound is not None:
        raise InputError("--error-bound belongs to --for-sharing, which is missing")
    if proba and labels:
        raise InputError("give --proba or --labels, not both")
    sharing = None if for_sharing is None else Sharing(queries=for_sharing, error_bound=error_bound)
    credentials = read_credentials(token_file, ca, cert, allow_plain_http=allow_plain_http)
    loaded = load_samples(inputs)
    start = time.perf_counter()
    with Client(
        url,
        model=model,
        vault=open_vault(vault, passphrase_file),
        timeout=timeout,
        progress=False if as_json else None,
        weights=weights,
        pinned=pinned,
        token=credentials.token,
        verify=credentials.verify,
        cert=credentials.cert,
        allow_plain_http=credentials.allow_plain_http,
    ) as client:
        plan = client.plan
        _check_answer(plan, output, proba=proba, labels=labels)
        samples, single = plan.samples(as_plan_input(plan, loaded, inputs), fewest=1, refuse_far=False)
        results = client.predict_samples(samples, for_sharing=sharing)
    noise = None if sharing is None else sharing_noise(plan, sharing, len(samples))
    outputs = _answer(plan, results[0] if single else results, proba=proba, labels=labels)
    if output is not None:
        save_arrays(output, outputs)
    if as_json:
        beyond = beyond_range(samples, client.plan.input_range)
        _print_json(
            outputs, output, client, time.perf_counter() - start, np.flatnonzero(beyond).tolist(), noise
        )
        return
    if noise is not None:
        typer.echo(f"noise of standard deviation {noise:.3g} was added to each output for sharing", err=True)
    if output is not None:
        print(f"{count_text(len(samples), 'encrypted prediction')} in {output}, shape {_shapes(outputs)}")
    else:
        for one in plan.interface.classes if proba else ():
            print(f"probabilities of {', '.join(map(str, one.labels))}:")
        with np.printoptions(precision=6, suppress=True, threshold=1_000_000):
            for line in [outputs] if not isinstance(outputs, dict) else outputs.items():
                print(*line, sep=": ") if isinstance(line, tuple) else print(line)


def _check_answer(plan: PublicPlan, output: Path | None, *, proba: bool, labels: bool) -> None:
    """Raise InputError, before anything is computed, for probabilities or labels that the plan does not have, and for a
    file that does not hold the outputs."""
    from hetorch.cli.arrays import check_output

    if proba:
        plan.interface.check_probabilities()
    if labels:
        plan.interface.check_classes()
    if output is not None:
        several = bool(plan.interface.heads) or (proba and len(plan.interface.classes) > 1)
        check_output(output, several=several)


def _answer(plan: PublicPlan, results: Array, *, proba: bool, labels: bool) -> AnyArray | dict[str, AnyArray]:
    """Return what the user asked for: one array, or several by name; those of a tuple are called output_0, ..."""
    if labels:
        return plan.interface.labels(results)
    outputs = plan.interface.probabilities(results) if proba else plan.named(results)
    if isinstance(outputs, list | tuple):
        names = [head.name for head in plan.interface.heads] or [f"output_{i}" for i in range(len(outputs))]
        return dict(zip(names, outputs, strict=True))
    named: AnyArray | dict[str, AnyArray] = outputs
    return named


def _shapes(outputs: AnyArray | dict[str, AnyArray]) -> object:
    if isinstance(outputs, dict):
        return ", ".join(f"{name} {array.shape}" for name, array in outputs.items())
    return outputs.shape


def _print_json(
    outputs: AnyArray | dict[str, AnyArray],
    path: Path | None,
    client: Client,
    seconds: float,
    out_of_range: list[int],
    noise: float | None,
) -> None:
    several = isinstance(outputs, dict)
    parts = outputs.items() if isinstance(outputs, dict) else [("", outputs)]
    shapes = {name: list(array.shape) for name, array in parts}
    document: dict[str, object] = {
        "shape": shapes if several else shapes[""],
        "seconds": seconds,
        "timings": [dataclasses.asdict(t) for t in client.timings],
        "out_of_range": out_of_range,
    }
    if noise is not None:
        document["sharing_noise_std"] = noise
    if client.plan.interface.classes:
        document["classes"] = client.classes
    if path is not None:
        document["output"] = str(path)
    else:
        values = {name: array.tolist() for name, array in parts}
        document["outputs"] = values if several else values[""]
    print(json.dumps(document))
