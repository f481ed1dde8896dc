"""`hetorch sweep`: a model compiled with many configurations of options, and the figures of each."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hetorch.cli.compile_options import takes_option_lists
from hetorch.cli.model_source import HELP, METAVAR
from hetorch.compiler.options import CompileOptions
from hetorch.progress import LINES

if TYPE_CHECKING:
    from hetorch.inspect.sweeps.result import Sweep

ENDINGS = (".csv", ".parquet")
"""Endings of the file of figures."""


DataOption = Annotated[
    Path, typer.Option(help="Test samples, batch first: .npy, .npz (or .npz:NAME) or .csv; as for compile.")
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(help="Their classes or targets, for the accuracy: .npy, .npz or .csv; as for evaluate."),
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(help="Typical inputs; the first 512 test samples, which flatters a little, if left out."),
]
MeasureOption = Annotated[
    int,
    typer.Option(
        "--measure",
        min=0,
        metavar="SAMPLES",
        help="Run so many samples on ciphertexts too, for measured times.",
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        help="Keep each configuration's figures in this folder: a sweep that was interrupted goes on, and a larger one "
        "computes only what is new."
    ),
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write all figures: .csv or .parquet.")
]
ParetoOption = Annotated[
    str, typer.Option(metavar="LIST", help="Figures whose best compromises are marked with * in the table.")
]


@takes_option_lists(CompileOptions.model_fields)
def sweep_model(
    model: Annotated[str, typer.Argument(metavar=METAVAR, help=HELP)],
    data: DataOption,
    options: dict[str, Any],
    labels: LabelsOption = None,
    calibration: CalibrationOption = None,
    encrypted_samples: MeasureOption = 0,
    folder: FolderOption = None,
    output: OutputOption = None,
    pareto: ParetoOption = "seconds,error",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the modelled noise.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Compile a model with every combination of options: accuracy, errors, time, memory, keys and security of each.

    An option that takes a LIST varies: several values separated by commas, auto for the compiler's choice. Nothing is
    encrypted unless --measure asks for it. A configuration that does not compile is a row with the reason; the exit
    code is 1 if none compiles.

    Example: [bold]hetorch sweep net.py:make_model --data x.npy --labels y.npy --ring-degree 8192,16384[/bold]
    """
    from hetorch.cli.model_source import load_model
    from hetorch.cli.tables import load_labels

    figures = _figures(pareto, labels is not None, encrypted_samples)
    _check_output(output)
    samples, calibrated = (_numbers(path) for path in (data, calibration or data))
    count = len(next(iter(samples.values())) if isinstance(samples, dict) else samples)
    targets = None if labels is None else load_labels(labels, count)
    clear = load_model(model)
    from hetorch.inspect import sweep  # It loads torch, which takes seconds.

    swept = sweep(
        clear,
        samples,
        targets,
        calibration_inputs=None if calibration is None else calibrated,
        encrypted_samples=encrypted_samples,
        folder=folder,
        seed=seed,
        progress=False if as_json else LINES,
        **options,
    )
    if output is not None:
        (swept.to_csv if output.suffix == ".csv" else swept.to_parquet)(output)
    _show(swept, figures, as_json=as_json)
    if not len(swept.compiled):
        raise typer.Exit(1)


def _figures(pareto: str, has_labels: bool, encrypted_samples: int) -> list[str]:
    """Return the names of figures in a list; InputError for one that the sweep does not have."""
    from hetorch.inspect.sweeps.metrics import check_known

    figures = [part.strip() for part in pareto.split(",")]
    for figure in figures:
        check_known(figure, has_labels, encrypted_samples)
    return figures


def _numbers(path: Path) -> Any:
    """Return the samples of a file, as numbers."""
    from hetorch.cli.tables import load_samples, with_numbers

    table = load_samples(path)
    return with_numbers(table) if isinstance(table, dict) else table


def _check_output(output: Path | None) -> None:
    """Raise the error of a file that could not be written, before minutes of work."""
    from hetorch.cli.output_paths import check_file
    from hetorch.errors import InputError
    from hetorch.optional_packages import require

    check_file(output)
    if output is None:
        return
    if output.suffix not in ENDINGS:
        raise InputError(f"{output} has none of the known endings {', '.join(ENDINGS)}")
    if output.suffix == ".parquet":
        for package in ("pandas", "pyarrow"):
            require(package, f"a sweep in {output.name}")


def _show(swept: Sweep, figures: list[str], *, as_json: bool) -> None:
    from hetorch.cli.option_names import spelled
    from hetorch.inspect.drawing.text import in_encoding
    from hetorch.inspect.perfetto import finite

    if as_json:
        best = swept.pareto(*figures).rows if len(swept.compiled) else ()
        rows = [row.to_dict() | {"pareto": any(row is one for one in best)} for row in swept]
        print(
            json.dumps(finite({"name": swept.name, "varied": swept.varied, "pareto": figures, "rows": rows}))
        )
        return
    table = swept.table(*figures)
    # The headings are the names of the options in files of figures; as flags they would be wider than their columns.
    shown = replace(table, notes=[spelled(note) for note in table.notes])
    print(in_encoding(str(shown), sys.stdout.encoding))
