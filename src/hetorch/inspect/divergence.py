"""`hetorch.inspect.find_divergence`: the first layer with which an inference goes wrong, why, and what mends it."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.errors import InputError
from hetorch.inspect.trace_layers import check_arguments, trace_samples
from hetorch.inspect.trace_result import Run, Trace
from hetorch.plan import Plan
from hetorch.plan.inputs import beyond_range
from hetorch.progress import ProgressOption

Array = NDArray[np.float64]

TOLERANCE = 0.1
"""Error of an output, relative to the range of the calibration outputs, above which it counts as wrong: twice what
hetorch.compile asks of the calibration inputs by default. Raised, smaller errors pass."""
MOSTLY = 0.5
"""Share of an error that its cause accounts for at least. Raised, fewer errors are put down to noise."""
FAR_OUT, ELSEWHERE = 0.05, 0.5
"""How far inputs may leave the calibrated range, as a share of its width, before they are the first suspects, and when
nothing else is one; between, they are the cause only if the outputs are right with inputs cut off at the range."""

Cause = Literal["none", "input", "range", "degree", "weights", "noise"]


@dataclass(frozen=True, slots=True)
class Divergence:
    """The answer of find_divergence; printed, it is a few sentences.

    ok      True if the outputs are right
    layer   name of the first layer with which they are wrong; empty if they are right
    cause   "none"; "input": the samples are unlike the calibration inputs; "range": an activation leaves the range of
            its polynomial; "degree": its polynomial is too coarse; "weights": the plan computes with other weights than
            the model; "noise": the scale is too small for the noise of encryption
    error   largest error of an output, relative to the range of the calibration outputs; NaN if there is no model to
            measure it by
    reason  what happens, in a sentence or two
    remedy  the call that mends it; empty if nothing is wrong
    trace   the trace that it rests on
    """

    ok: bool
    layer: str
    cause: Cause
    error: float
    reason: str
    remedy: str
    trace: Trace = field(repr=False, compare=False)

    def __str__(self) -> str:
        place = "no layer diverges" if self.ok else f"{self.layer} diverges ({self.cause})"
        return "\n".join(filter(None, (f"{place}: {self.reason}", self.remedy)))

    def _repr_html_(self) -> str:
        """Return the sentences as a notebook shows them."""
        return "".join(f"<p>{html.escape(line)}</p>" for line in str(self).splitlines())


def find_divergence(
    plan: Plan,
    x: object,
    model: object | None = None,
    run: Run = "simulated",
    *,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    progress: ProgressOption = None,
) -> Divergence:
    """Find the first layer of a plan that makes its outputs wrong, and say why and what mends it.

    With a model, the plan's values up to a layer are put into the model, which goes on from there; the first layer with
    which the outputs are wrong is found by bisection. Without one, only noise and the ranges of activations are judged.

    Args:
        plan: as for hetorch.inspect.trace.
        x: samples for which the outputs seem wrong; sixteen or more tell most.
        model: the model that was compiled.
        run: as for hetorch.inspect.trace; "cleartext" leaves noise out.
        tolerance: error of an output, relative to the range of the calibration outputs, above which it is wrong.
        seed: as for hetorch.inspect.trace.
        progress: as for hetorch.simulate.

    Raises:
        InputError: `tolerance` is no positive number, or as for hetorch.inspect.trace.
        PlanUseError, UnsupportedModelError: as for hetorch.inspect.trace.
    """
    if not tolerance > 0:
        raise InputError(f"tolerance must be a positive number, got {tolerance!r}")
    check_arguments(plan, run, seed)
    # Of values that the parameters cannot hold, the cause can be told, although nothing can be computed.
    samples, single = plan.public().samples(x, fewest=1, refuse_far=False)
    try:
        traced = trace_samples(plan, samples, single, model, run, seed, progress)
    except InputError:
        # A value that no modulus holds stops a run on an engine; exact arithmetic tells where it grew.
        traced = trace_samples(plan, samples, single, model, "cleartext", seed, progress)
    return _Search(traced, tolerance).answer()


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """A search for the layer and the cause."""

    trace: Trace
    tolerance: float

    @property
    def plan(self) -> Plan:
        return self.trace.plan

    def answer(self) -> Divergence:
        """Return the answer."""
        return self._without_model() if self.trace.model_outputs is None else self._with_model()

    def _with_model(self) -> Divergence:
        reference = self.trace.model_rows
        error = self._relative(self.trace.rows() - reference)
        if error <= self.tolerance:
            return self._right(error, f"the outputs are within {error:.2%} of their range of the model's")
        compared = self.trace.compared_numbers
        # The outputs are right with the layers up to compared[low] and wrong with those up to compared[high].
        low, high = -1, len(compared) - 1
        while high - low > 1:
            middle = (low + high) // 2
            if self._error_until(compared[middle]) > self.tolerance:
                high = middle
            else:
                low = middle
        first = compared[low] + 1 if low >= 0 else 0
        return self._explained(first, compared[high], error)

    def _explained(self, first: int, last: int, error: float) -> Divergence:
        """Return the answer for the layers from `first` to `last`, of which the last one makes the outputs wrong."""
        noiseless = self._relative(self.trace.outputs_until(last, run="cleartext") - self.trace.model_rows)
        here = self._error_until(last)
        name = self.trace.layers[last].name
        if self._inputs_beyond(ELSEWHERE) or (self._inputs_beyond(FAR_OUT) and self._mended_by_cutting_off()):
            return self._unlike(error)
        if noiseless < MOSTLY * here:
            return self._noisy(name, error)
        # The first layers read exact values: what leaves a range leaves it by itself.
        beyond = [number for number in self._polynomials(0, last) if self.trace.layers[number].outside]
        if beyond:
            return self._outside(beyond[0], error)
        activations = self._polynomials(first, last)
        folded = [] if activations else self._folded(first, last)
        if (activations or folded) and self._are_coarse(last):
            return self._coarse(
                self.trace.layers[activations[0] if activations else last].name, folded, error
            )
        return Divergence(
            False,
            name,
            "weights",
            error,
            f"with it the outputs are wrong by {here:.1%} of their range, although all activations stay in their "
            "ranges: the plan has other weights here than the model",
            "if the model was trained on or loaded anew since then, compile it again: hetorch.compile(model, "
            "calibration_inputs); otherwise load the plan again from where it was saved",
            self.trace,
        )

    def _are_coarse(self, last: int) -> bool:
        """Return True if the polynomials up to a layer account for most of the error there.

        They do if it is not larger than on the calibration inputs, where the plan was compared with its own model.
        Otherwise let d be the error of the outputs, and p that of the model with the errors of these polynomials. Other
        weights add an error to d that p does not have, so that <d, p> / <d, d> is the polynomials' share of d. Where
        layers make up for polynomials, d is what a projection leaves of p, of which <d, p> = <d, d> holds too.
        """
        error = self.trace.outputs_until(last, run="cleartext") - self.trace.model_rows
        names = {self.trace.layers[number].name for number in self._polynomials(0, last)}
        names.update(self._folded(0, last))
        rows = self.trace.approximated_rows(names)
        if self._relative(error) <= self.plan.report.approximation_error:
            return True
        if rows is None:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            share = float(np.vdot(error, rows - self.trace.model_rows) / np.vdot(error, error))
        return share >= MOSTLY

    def _without_model(self) -> Divergence:
        if self._inputs_beyond(FAR_OUT):
            return self._unlike(float("nan"))
        beyond = [n for n in self._polynomials(0, len(self.trace.layers) - 1) if self.trace.layers[n].outside]
        if beyond:
            return self._outside(beyond[0], float("nan"))
        error = self._relative(self.trace.rows() - self.trace.rows("cleartext"))
        if error > self.tolerance:
            most = max(self.trace.layers, key=lambda layer: layer.noise_bound)
            return self._noisy(most.name, error)
        return self._right(
            error,
            f"noise moves the outputs by {error:.2%} of their range, and {self._ranges_kept()}; with model= weights "
            "and polynomials are compared too",
        )

    def _ranges_kept(self) -> str:
        others = ", ".join(self.trace.unjudged)
        if not others:
            return "all activations stay in their ranges"
        return f"no activation is seen outside its range (that of {others} can be judged with model= only)"

    def _right(self, error: float, reason: str) -> Divergence:
        return Divergence(True, "", "none", error, reason, "", self.trace)

    def _unlike(self, error: float) -> Divergence:
        low, high = self.plan.input_range
        seen = self.trace.samples
        return Divergence(
            False,
            self.trace.layers[0].name,
            "input",
            error,
            f"the samples reach from {seen.min():.4g} to {seen.max():.4g}, the calibration inputs from {low:.4g} to "
            f"{high:.4g}: another unit, or a normalisation that is missing or was done twice",
            "prepare the samples as for training (such as x / 255, or the same Normalize); if they are right, compile "
            "with inputs like them: hetorch.compile(model, calibration_inputs)",
            self.trace,
        )

    def _noisy(self, name: str, error: float) -> Divergence:
        bits = min(layer.scale_bits for layer in self.trace.layers)
        return Divergence(
            False,
            name,
            "noise",
            error,
            "without noise the values are right: the noise of encryption is too large beside them, because the scale "
            f"(2^{bits:.0f} at the least) is too small",
            "hetorch.compile(model, calibration_inputs, precision=0.001), without scale_bits= or with a larger one",
            self.trace,
        )

    def _outside(self, number: int, error: float) -> Divergence:
        layer = self.trace.layers[number]
        fitted = (
            ""
            if layer.fitted_range is None
            else f" ({layer.fitted_range[0]:.3g}..{layer.fitted_range[1]:.3g})"
        )
        return Divergence(
            False,
            layer.name,
            "range",
            error,
            f"{layer.outside or 0.0:.2%} of the values that this activation reads leave the range{fitted} on which its "
            "polynomial was fitted, and outside a polynomial grows without bound",
            "compile with more calibration inputs, and with some like these: hetorch.compile(model, "
            'calibration_inputs), or with proven ranges: activation_ranges="interval"',
            self.trace,
        )

    def _folded(self, first: int, last: int) -> list[str]:
        """Return the names of the activations between these layers whose polynomials are lines, which other layers
        took in."""
        apart = {layer.name for layer in self.trace.layers}
        return [name for name in self.trace.activations_between(first, last) if name not in apart]

    def _coarse(self, name: str, folded: list[str], error: float) -> Divergence:
        names = [name, *folded]
        fits = [fit for fit in self.plan.report.polynomials if fit.layer in names]
        degree = max((fit.degree for fit in fits), default=0)
        where = f" (of {', '.join(folded)}, which it contains)" if folded else ""
        return Divergence(
            False,
            name,
            "degree",
            error,
            f"its polynomial of degree {degree}{where} is too far from the function, also within its range",
            _finer(degree),
            self.trace,
        )

    def _polynomials(self, first: int, last: int) -> list[int]:
        """Return the numbers of the layers in first..last that stand in for activations."""
        fitted = {fit.layer for fit in self.plan.report.polynomials}
        return [
            number
            for number in range(first, last + 1)
            if "~" in self.trace.layers[number].kind or self.trace.layers[number].name in fitted
        ]

    def _error_until(self, number: int) -> float:
        return self._relative(self.trace.outputs_until(number) - self.trace.model_rows)

    def _relative(self, difference: Array) -> float:
        worst = float(np.abs(difference).max()) / (self.plan.report.output_range or 1.0)
        return worst if np.isfinite(worst) else float("inf")

    def _inputs_beyond(self, share: float) -> bool:
        """Return True if an input leaves the calibrated range by more than that share of its width."""
        return bool(np.any(beyond_range(self.trace.samples, self.plan.input_range) > share))

    def _mended_by_cutting_off(self) -> bool:
        """Return True if plan and model agree on the samples cut off at the ends of the calibrated range."""
        inside = np.clip(self.trace.samples, *self.plan.input_range)
        truth, _ = self.trace.model_outcome(inside)
        outputs = self.plan.network().run(inside.reshape(len(inside), -1), threads=_native.thread_count())
        return truth is None or self._relative(outputs - truth) <= self.tolerance


def _finer(degree: int) -> str:
    """Return what mends a polynomial of that degree, which is too coarse."""
    from hetorch.compiler.options import MOST_DEGREE

    if degree >= MOST_DEGREE:
        return (
            "there is no higher degree: keep the values that it reads in a smaller range (a batch norm before it, "
            "calibration inputs without outliers), or train with polynomials: hetorch.train.fine_tune"
        )
    return (
        f"hetorch.compile(model, calibration_inputs, activation_degree={min(2 * degree + 1, MOST_DEGREE)}), or no "
        "activation_degree= and a smaller activation_tolerance="
    )
