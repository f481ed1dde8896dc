"""Layer 4: `hetorch.analyze`, what of a model can run on encrypted data, and how, before it is compiled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hetorch.compiler.activations.approximate_activations import Approximated, approximate_activations
from hetorch.compiler.activations.approximation_notes import sentences
from hetorch.compiler.activations.fit_polynomial import Fit
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.option_help import signature_with_options
from hetorch.compiler.options import ACTIVATION_OPTIONS, LARGEST_RING, LEAST_SCALE_BITS, CompileOptions
from hetorch.compiler.passes.assign_levels import assign_levels
from hetorch.compiler.passes.balance_sums import balance_sums
from hetorch.compiler.passes.drop_pruned import drop_pruned
from hetorch.compiler.passes.fuse_affine import GROWTHS, fuse_affine
from hetorch.errors import HetorchError, UnsupportedModelError
from hetorch.ir.analysis import Analysis, AnalysisRow
from hetorch.params import Security, max_log2_qp


def analyze(
    model: object,
    calibration_inputs: object,
    **options: Any,
) -> Analysis:
    """Tell what of a model can run on encrypted data, before it is compiled.

    Says for each part whether it converts exactly, by approximation (on which range, with which degree and error), is
    left to the client, or cannot be compiled: with the line of the user's code, the reason and the nearest thing that
    works. Printed, the analysis is a table.

    Args:
        model: as for hetorch.compile.
        calibration_inputs: as for hetorch.compile.
        **options: those of hetorch.compile, so that one dictionary serves both; the activation_... options decide here.

    Returns:
        The analysis; of a model that cannot be compiled too.

    Raises:
        InputError: a wrong argument, or inputs that do not fit the model.
    """
    chosen = CompileOptions(**options)
    try:
        captured = capture(model, calibration_inputs)
    except UnsupportedModelError as error:
        if isinstance(error.analysis, Analysis):
            return error.analysis
        return Analysis(type(model).__name__, (), str(error))
    found = Analysis(captured.name, captured.rows, "", captured.notes)
    try:
        approximated = approximate_activations(
            fuse_affine(captured.program), captured.inputs, captured.outputs, chosen
        )
    except HetorchError as error:
        return replace(found, problem=str(error))
    levels = min(
        assign_levels(drop_pruned(balance_sums(fuse_affine(approximated.program, growth))).program)[0]
        for growth in GROWTHS
    )
    return replace(
        found,
        rows=_with_fits(captured.rows, approximated),
        problem=_too_deep(levels),
        notes=(
            *captured.notes,
            *sentences(approximated),
            f"{levels} levels: multiplications one after the other",
        ),
        error=approximated.error,
        agreement=approximated.agreement,
    )


analyze.__signature__ = signature_with_options(analyze, ACTIVATION_OPTIONS)  # type: ignore[attr-defined]


def _too_deep(levels: int) -> str:
    """What is wrong with so many levels, or nothing: compiling says more exactly what fits."""
    most = int(max_log2_qp(LARGEST_RING, Security.CLASSICAL_128))
    if levels * LEAST_SCALE_BITS <= most:
        return ""
    return (
        f"it takes {levels} levels (multiplications one after the other) of at least {LEAST_SCALE_BITS} bits; the "
        f"largest ring has {most} bits at 128-bit security. Use fewer layers with activations, or a larger "
        "activation_tolerance="
    )


def _with_fits(rows: tuple[AnalysisRow, ...], approximated: Approximated) -> tuple[AnalysisRow, ...]:
    """Each approximated row with what became of its functions: the whole range, the largest degree and error."""
    found = []
    left = list(approximated.fits)
    for row in rows:
        if row.status != "approximate":
            found.append(row)
            continue
        mine: list[Fit] = []
        while left and left[0].name == row.name:
            if (
                mine
                and left[0].function == mine[0].function
                and row.detail.count(",") == 0
                and _next_same(row, rows)
            ):
                break
            mine.append(left.pop(0))
        if not mine:
            found.append(row)
            continue
        if all(fit.method == "exact line" for fit in mine):
            row = replace(row, status="exact", detail=f"{row.detail} is a line on its range")
        found.append(
            replace(
                row,
                low=min(fit.low for fit in mine),
                high=max(fit.high for fit in mine),
                degree=max(fit.degree for fit in mine),
                error=max(fit.error for fit in mine),
            )
        )
    return tuple(found)


def _next_same(row: AnalysisRow, rows: tuple[AnalysisRow, ...]) -> bool:
    """Whether another row has the same module and function, as a module that is called twice."""
    return sum(other.name == row.name and other.detail == row.detail for other in rows) > 1
