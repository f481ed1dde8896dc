"""`hetorch trace`: an inference layer by layer, and the first layer that makes outputs wrong."""

from __future__ import annotations

import csv
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from hetorch.cli.model_source import METAVAR
from hetorch.progress import LINES, ProgressOption

if TYPE_CHECKING:
    from hetorch.inspect.divergence import Divergence
    from hetorch.inspect.trace_result import Trace


class RunName(StrEnum):
    """How far a trace goes; each word includes those before it."""

    cleartext = "cleartext"
    simulated = "simulated"
    encrypted = "encrypted"


def trace(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="The plan folder, with its weights.")],
    inputs: Annotated[
        Path,
        typer.Option("--input", "--inputs", help="Samples, batch first: .npy, .npz or .csv; as for predict."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar=METAVAR, help="The model in clear to compare with; the code of its file is run."
        ),
    ] = None,
    run: Annotated[
        RunName,
        typer.Option(
            help="How far to go: exact arithmetic; also with modelled noise; also on ciphertexts, all decrypted."
        ),
    ] = RunName.encrypted,
    samples: Annotated[
        int, typer.Option(min=1, help="Number of samples to take from the beginning of the file.")
    ] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the modelled noise.")] = 0,
    diagnose: Annotated[
        bool,
        typer.Option(
            "--diagnose",
            help="Find the first layer that makes the outputs wrong, the cause and the remedy. The exit code is 1 if "
            "there is one.",
        ),
    ] = False,
    perfetto: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a timeline for https://ui.perfetto.dev, which holds ranges of decrypted values (mode 0600).",
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all figures as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Run a plan layer by layer: in clear, with modelled noise and encrypted, beside the model's own values.

    Keys are made for the run and forgotten. What is shown holds ranges of decrypted values of your samples: treat it as
    you treat them.

    Example: [bold]hetorch trace digits.hetorch --input digits.npy --model net.py:make_model --diagnose[/bold]
    """
    if as_csv and (as_json or diagnose):
        _refuse_beside_csv("--json" if as_json else "--diagnose")
    from hetorch.cli.output_paths import check_file

    check_file(perfetto)
    progress: ProgressOption = False if as_json or as_csv else LINES
    traced, answer = _traced(plan, inputs, model, run, samples, seed, diagnose, progress)
    if perfetto is not None:
        traced.to_perfetto(perfetto)
    _print(traced, answer, as_csv, as_json)
    if answer is not None and not answer.ok:
        raise typer.Exit(1)


def _refuse_beside_csv(other: str) -> NoReturn:
    raise typer.BadParameter(f"--csv is a table and nothing else; leave {other} out", param_hint="'--csv'")


def _traced(
    plan: str,
    inputs: Path,
    model: str | None,
    run: RunName,
    count: int,
    seed: int,
    diagnose: bool,
    progress: ProgressOption,
) -> tuple[Trace, Divergence | None]:
    """Return the trace and, if it is asked for, what is wrong."""
    from hetorch.cli.model_source import load_model
    from hetorch.cli.tables import as_plan_input, load_samples
    from hetorch.cli.target import is_address
    from hetorch.errors import InputError
    from hetorch.inspect import find_divergence
    from hetorch.inspect import trace as trace_plan
    from hetorch.plan import Plan

    if is_address(plan):
        raise InputError("a server shows no values and holds no secret key; give the folder of the plan")
    loaded = Plan.load(plan)
    whole: Any = as_plan_input(loaded.public(), load_samples(inputs), inputs)
    first, total = _first(whole, count, loaded.input_shape)
    clear = None if model is None else load_model(model)
    answer = None
    if diagnose:
        answer = find_divergence(loaded, first, clear, run.value, seed=seed, progress=progress)
        traced = answer.trace
    else:
        traced = trace_plan(loaded, first, clear, run.value, seed=seed, progress=progress)
    if total > count and progress:
        print(f"hetorch: note: the first {count} of {total} samples; --samples takes more", file=sys.stderr)
    return traced, answer


def _first(whole: Any, count: int, input_shape: tuple[int, ...]) -> tuple[Any, int]:
    """Return the first `count` samples, and the number of all."""
    if isinstance(whole, dict):
        return {name: column[:count] for name, column in whole.items()}, len(next(iter(whole.values()), ()))
    if whole.shape == input_shape:
        return whole, 1
    return whole[:count], len(whole)


def _print(traced: Trace, answer: Divergence | None, as_csv: bool, as_json: bool) -> None:
    if as_csv:
        _print_csv(traced)
    elif as_json:
        print(json.dumps(_document(traced, answer)))
    else:
        _print_text(traced, answer)


def _document(traced: Trace, answer: Divergence | None) -> object:
    """Return the figures as JSON can hold them: null in place of NaN and infinity."""
    from hetorch.inspect.perfetto import finite

    document: dict[str, object] = {
        "plan": traced.plan.name,
        "fingerprint": traced.plan.fingerprint,
        "run": traced.run,
        "samples": len(traced.samples),
        "seconds": traced.seconds,
        "peak_layer": traced.peak.name,
        "peak_bytes": traced.peak.memory_bytes,
        "layers": traced.to_dicts(),
    }
    if answer is not None:
        document["diagnosis"] = {
            "ok": answer.ok,
            "layer": answer.layer,
            "cause": answer.cause,
            "error": answer.error,
            "reason": answer.reason,
            "remedy": answer.remedy,
        }
    return finite(document)


def _print_csv(traced: Trace) -> None:
    rows = traced.to_dicts()
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _print_text(traced: Trace, answer: Divergence | None) -> None:
    from hetorch.cli.option_names import spelled
    from hetorch.inspect.drawing.text import in_encoding

    text = str(traced) if answer is None else f"{traced}\n\n{spelled(str(answer))}"
    print(in_encoding(text, sys.stdout.encoding))
