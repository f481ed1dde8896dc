"""`hetorch predict`: encrypted predictions for the samples of a file."""

from __future__ import annotations

import dataclasses
import json
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hetorch.quantities import count_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hetorch.client import Client

    Array = NDArray[np.float64]


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
    vault: Annotated[
        Path | None,
        typer.Option(help="Folder of the key vault; $HETORCH_VAULT, else ~/.local/share/hetorch/keys."),
    ] = None,
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
        typer.Option(help="With --for-sharing: the largest error of an output, in the unit of the output."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Encrypt samples, let the server compute on them, and decrypt the results.

    Example: [bold]hetorch predict http://127.0.0.1:8000 digits.npy -o logits.npy[/bold]
    """
    # Long because every option of the verb is a parameter with its help.
    import numpy as np

    from hetorch.cli.arrays import SUFFIXES, fit_samples, load_array, save_array
    from hetorch.client import Client, Sharing
    from hetorch.errors import InputError, InputRangeWarning
    from hetorch.plan.inputs import beyond_range

    if output is not None and output.suffix not in SUFFIXES:
        raise InputError(f"{output} has none of the known endings {', '.join(SUFFIXES)}")
    if (for_sharing is None) != (error_bound is None):
        raise InputError("--for-sharing and --error-bound belong together; give both or none")
    sharing = None if for_sharing is None or error_bound is None else Sharing(error_bound, for_sharing)
    array = load_array(inputs)
    start = time.perf_counter()
    with Client(
        url, model=model, vault=vault, timeout=timeout, progress=False if as_json else None, weights=weights
    ) as client:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputRangeWarning)  # predict warns
            samples, _ = client.plan.samples(fit_samples(array, client.plan.input_shape), fewest=1)
        outputs = client.predict(fit_samples(array, client.plan.input_shape), for_sharing=sharing)
    if output is not None:
        save_array(output, outputs)
    if as_json:
        beyond = beyond_range(samples, client.plan.input_range)
        _print_json(outputs, output, client, time.perf_counter() - start, np.flatnonzero(beyond).tolist())
        return
    if output is not None:
        print(f"{count_text(len(samples), 'encrypted prediction')} in {output}, shape {outputs.shape}")
    else:
        with np.printoptions(precision=6, suppress=True, threshold=1_000_000):
            print(outputs)


def _print_json(
    outputs: Array, path: Path | None, client: Client, seconds: float, out_of_range: list[int]
) -> None:
    document: dict[str, object] = {
        "shape": list(outputs.shape),
        "seconds": seconds,
        "timings": [dataclasses.asdict(t) for t in client.timings],
        "out_of_range": out_of_range,
    }
    document |= {"output": str(path)} if path is not None else {"outputs": outputs.tolist()}
    print(json.dumps(document))
