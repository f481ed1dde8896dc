"""`hetorch.analyze`: the parts of a model that can run on encrypted data, and how, before it is compiled."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hetorch.compiler.activations.approximate_activations import nearest_network
from hetorch.compiler.activations.approximated import Approximated, Fit
from hetorch.compiler.activations.most_levels import levels_that_fit
from hetorch.compiler.activations.notes import sentences
from hetorch.compiler.bootstraps.more_levels import nearest_networks
from hetorch.compiler.bootstraps.refusal import bootstrap_refusal
from hetorch.compiler.choose_plan import levels_of, may_choose_bootstraps
from hetorch.compiler.costs.machine import load_machine
from hetorch.compiler.frontend.capture import Captured, capture
from hetorch.compiler.frontend.value_sizes import uneven_inputs
from hetorch.compiler.option_help import signature_with_options
from hetorch.compiler.options import ANALYSIS_OPTIONS, CompileOptions
from hetorch.compiler.passes.assign_levels import assign_levels
from hetorch.compiler.passes.balance_sums import balance_sums
from hetorch.compiler.passes.drop_pruned import drop_pruned
from hetorch.compiler.passes.fuse_affine import GROWTHS, fuse_affine
from hetorch.compiler.passes.share_maps import share_maps
from hetorch.compiler.pipeline import fuse
from hetorch.compiler.search.bootstrap_sentences import bootstrap_sentences
from hetorch.compiler.search.place_bootstraps import Setting, place_bootstraps
from hetorch.errors import HetorchError, InfeasibleError, UnsupportedModelError
from hetorch.ir.analysis import Analysis, AnalysisRow
from hetorch.ir.tensor_program import POLYNOMIAL, TensorProgram
from hetorch.progress import Progress, ProgressOption, reporting
from hetorch.quantities import count_text

EITHER = (
    "one ring has these levels; compiling may choose bootstraps even so, where a run is then faster, or its keys or "
    'memory are smaller (bootstrap="never" rules them out)'
)
"""The sentence on a network that may get a plan of either kind. Only compiling tells which one."""


def analyze(
    model: object,
    calibration_inputs: object,
    *,
    progress: ProgressOption = None,
    **options: Any,
) -> Analysis:
    """Tell which parts of a model can run on encrypted data, before it is compiled.

    Each part converts exactly, by approximation (on a range, with a degree and an error), is left to the client, or
    cannot be compiled. The analysis gives the line of the user's code, the reason, and the nearest thing that works.
    Printed, it is a table.

    The notes tell the levels. If no ring has so many, they tell the bootstraps; if one has, they say whether compiling
    may choose bootstraps even so, because a run is then faster or smaller.

    Args:
        model: as for hetorch.compile.
        calibration_inputs: as for hetorch.compile.
        progress: as for hetorch.compile.
        **options: those of hetorch.compile, so that one dictionary serves both. Here `outputs`, `strict` and
            activation_... matter, and those that decide about levels and bootstraps.

    Returns:
        The analysis, also of a model that cannot be compiled.

    Raises:
        InputError: a wrong argument, or inputs that do not fit the model.
    """
    chosen = CompileOptions(**options)
    with reporting(progress, "analyze", even_unseen=True) as tell:
        return _analyze(model, calibration_inputs, chosen, tell)


def _analyze(model: object, calibration_inputs: object, chosen: CompileOptions, tell: Progress) -> Analysis:
    tell("trace the model", 0.0)
    try:
        captured = capture(model, calibration_inputs, chosen.outputs)
    except UnsupportedModelError as error:
        if isinstance(error.analysis, Analysis):
            return error.analysis
        return Analysis(type(model).__name__, (), str(error))
    exact = Analysis(captured.name, captured.rows, "", captured.notes)
    tell("approximate activations over calibrated ranges", 0.4)
    try:
        # The matrices of a deep network are large: those before fusion are given up.
        captured = replace(captured, program=fuse(captured.program, captured.inputs))
        approximated = _nearest(captured, chosen, tell)
    except HetorchError as error:
        return replace(exact, problem="; ".join(filter(None, (str(error), uneven_inputs(captured.inputs)))))
    tell("count levels", 0.9)
    program = _shallowest(approximated.program)
    levels = assign_levels(program)[0]
    refused = approximated.refusal or (approximated.shortfall if chosen.strict else "")
    if refused:
        refused = "; ".join(filter(None, (refused, uneven_inputs(captured.inputs))))
    too_deep = _too_deep(levels, chosen)
    bootstraps: tuple[str, ...] = ()
    if too_deep or approximated.without_bootstraps:
        too_deep, bootstraps = _bootstrapped(program, too_deep, chosen)
    elif not refused and may_choose_bootstraps(chosen, levels_of(captured.program, approximated)):
        bootstraps = (EITHER,)
    return replace(
        exact,
        rows=_with_fits(captured.rows, approximated.fits),
        problem="; ".join(filter(None, (refused, too_deep))),
        notes=(
            *captured.notes,
            *sentences(approximated),
            f"{count_text(levels, 'level')}: multiplications one after the other",
            *bootstraps,
        ),
        error=approximated.error,
        agreement=approximated.agreement,
    )


analyze.__signature__ = signature_with_options(analyze, ANALYSIS_OPTIONS)  # type: ignore[attr-defined]


def _nearest(captured: Captured, options: CompileOptions, tell: Progress) -> Approximated:
    """Return the network of polynomials that is nearest to the fused program, with bootstraps if it needs them."""

    def network_of(levels: int | None, limited_by: str) -> Approximated:
        return nearest_network(
            captured.program,
            captured.inputs,
            captured.outputs,
            options,
            lambda share: tell("approximate activations over calibrated ranges", 0.4 + 0.5 * share),
            heads=captured.interface.row_shapes,
            levels=levels,
            limited_by=limited_by,
        )

    return nearest_networks(captured.program, options, network_of)[0]


def _shallowest(program: TensorProgram) -> TensorProgram:
    """Return the program as hetorch.compile fuses and prunes it, in the way that takes the fewest levels."""
    ways = (drop_pruned(balance_sums(share_maps(fuse_affine(program, growth)))).program for growth in GROWTHS)
    return min(ways, key=lambda way: assign_levels(way)[0])


def _bootstrapped(
    program: TensorProgram, too_deep: str, options: CompileOptions
) -> tuple[str, tuple[str, ...]]:
    """Return why a program that is too deep for a ring cannot be compiled, or sentences on its bootstraps.

    Nothing is said of a program that a ring has levels for (`too_deep` is empty) and that cannot be bootstrapped.
    """
    refused = bootstrap_refusal(options)
    if refused:
        return f"{too_deep}; it is not bootstrapped: {refused}", ()
    try:
        placed = place_bootstraps(program, *Setting.all_of(options, load_machine()))
    except InfeasibleError as error:
        return too_deep and f"{too_deep}; it is not bootstrapped: {error}", ()
    return "", bootstrap_sentences(placed)


def _too_deep(levels: int, options: CompileOptions) -> str:
    """Return why there are too few bits for that many levels, or nothing if there are enough.

    A level takes a prime of about the size of the scale. Only an estimate is known here: compiling tells what fits.
    """
    most = levels_that_fit(options)
    if levels <= most:
        return ""
    return (
        f"it takes {count_text(levels, 'level')} (multiplications one after the other), and the ring has bits for "
        f"about {most}: {levels - most} too few. Use fewer layers with activations, or a larger activation_tolerance="
    )


def _with_fits(rows: Sequence[AnalysisRow], fits: Sequence[Fit]) -> tuple[AnalysisRow, ...]:
    """Return the rows, each approximated one with the fits of its functions.

    Rows and fits are both in the order of the computation, and a fit has the name of its row. An operation may have
    several fits (softmax: exp and reciprocal), and several rows one name: a module that is called several times.
    """
    # Rows of polynomials, also of their sums and products, are exact.
    pending = deque(fit for fit in fits if fit.function != POLYNOMIAL)
    calls = Counter((row.name, row.detail) for row in rows)
    merged = []
    for row in rows:
        own: list[Fit] = []
        if row.status == "approximate":
            one_function_of_many_calls = "," not in row.detail and calls[row.name, row.detail] > 1
            while pending and pending[0].name == row.name:
                if own and one_function_of_many_calls and pending[0].function == own[0].function:
                    break  # This fit belongs to the next call.
                own.append(pending.popleft())
        merged.append(_with_own_fits(row, own) if own else row)
    return tuple(merged)


def _with_own_fits(row: AnalysisRow, fits: Sequence[Fit]) -> AnalysisRow:
    """Return the row with the whole range, the largest degree and the largest error of its fits."""
    if all(fit.method == "exact line" for fit in fits):
        row = replace(row, status="exact", detail=f"{row.detail} is a line on its range")
    return replace(
        row,
        low=min(fit.low for fit in fits),
        high=max(fit.high for fit in fits),
        degree=max(fit.degree for fit in fits),
        error=max(fit.error for fit in fits),
    )
