"""The figures of one configuration: compile it, simulate the samples, and run some of them on ciphertexts."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.options import CompileOptions
from hetorch.engine.backend import NATIVE
from hetorch.errors import HetorchError, PlanUseError
from hetorch.inspect.simulate import simulate_samples, warn_without_result
from hetorch.inspect.sweeps.grid import Options
from hetorch.inspect.sweeps.row import Row
from hetorch.inspect.sweeps.study import Study
from hetorch.interop.backends import backend
from hetorch.ir.cleartext_network.steps import SeriesStep
from hetorch.machine_memory import machine_memory
from hetorch.params import max_log2_qp
from hetorch.plan import Plan
from hetorch.progress import Progress
from hetorch.runtime import Event

Array = NDArray[np.float64]
Warned = tuple[type[Warning], str]
"""The class of a warning and its text."""

COMPILING, SIMULATING, ENCRYPTING = (0.0, 0.7), (0.7, 0.85), (0.85, 1.0)
"""Parts of the work on a configuration, as shares of it, for its progress."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The outcome of a configuration.

    row         its figures, or the reason why there are none
    warned      the warnings that were raised
    is_lasting  False if another try may have another outcome, as where memory was missing
    """

    row: Row
    warned: tuple[Warned, ...]
    is_lasting: bool = True


def measure(study: Study, options: Options, tell: Progress) -> Measured:
    """Compile a configuration, and compute its figures.

    `tell` is called with a stage and the share of the work that is done.
    """
    lasting = True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figures: dict[str, Any] = {"reason": "", "notes": ()}
        try:
            figures |= _figures(study, options, tell)
        except (HetorchError, MemoryError) as error:
            lasting = not isinstance(error, PlanUseError | MemoryError)
            figures["reason"] = _sentence(error) or "there is not enough memory"
    warned = tuple(dict.fromkeys((warning.category, _sentence(warning.message)) for warning in caught))
    lasting = lasting and not figures["notes"]
    figures["notes"] += tuple(text for _, text in warned)
    return Measured(Row(options, study=study.digest, **figures), warned, lasting)


def _figures(study: Study, options: Options, tell: Progress) -> dict[str, Any]:
    begun = time.perf_counter()
    plan = _compiled(study, options, _within(tell, COMPILING))
    figures = _promised(plan) | {"compile_seconds": time.perf_counter() - begun}
    figures |= _simulated(study, plan, _within(tell, SIMULATING))
    if study.encrypted:
        try:
            figures |= _encrypted(study, plan, options, _within(tell, ENCRYPTING))
        except (PlanUseError, MemoryError) as error:
            figures["notes"] = (f"not measured: {_sentence(error) or 'there is not enough memory'}",)
    return figures


def _compiled(study: Study, options: Options, tell: Progress) -> Plan:
    from hetorch.compiler.api import compile_captured

    return compile_captured(study.captured, CompileOptions(**options), tell)


def _promised(plan: Plan) -> dict[str, Any]:
    """Return the figures that the plan has by itself."""
    public, parameters = plan.public(), plan.parameters
    limit = max_log2_qp(parameters.ring_degree, parameters.security)
    return {
        "promised_error": plan.report.promised_error,
        "predicted_seconds": plan.report.predicted_seconds,
        "run_samples": plan.batch_size,
        "memory_bytes": plan.report.memory_bytes,
        "key_bytes": public.evaluation_key_bytes,
        "ciphertext_bytes": public.input_ciphertext_bytes + public.output_ciphertext_bytes,
        "levels": parameters.max_level,
        "degree": max((fit.degree for fit in plan.report.polynomials), default=None),
        "ring": parameters.ring_degree,
        "log2_qp": parameters.log2_qp,
        "most_log2_qp": limit if math.isfinite(limit) else None,
        "security_level": parameters.security.value,
        "security_bits": parameters.security.bits,
    }


def _simulated(study: Study, plan: Plan, tell: Progress) -> dict[str, Any]:
    """Return the figures on all samples, with the modelled noise."""
    samples, _ = plan.public().samples(study.samples, fewest=1)
    beyond = np.zeros(study.count, dtype=bool)
    exact = simulate_samples(plan, samples, None, lambda stage, done: tell(stage, done / 2), beyond)
    noisy = simulate_samples(plan, samples, study.seed, lambda stage, done: tell(stage, 0.5 + done / 2))
    exact, noisy = exact.reshape(study.count, -1), noisy.reshape(study.count, -1)
    span = plan.report.output_range or 1.0
    score, clear = study.judged.score(noisy, study.clear, span), study.judged.score(study.clear, None, span)
    noise = float(np.sqrt(np.nanmean((noisy - exact) ** 2))) / span
    warn_without_result(noisy)
    has_ranges = any(isinstance(step, SeriesStep) for step in plan.network().steps)
    return {
        "accuracy": score.accuracy,
        "accuracy_clear": clear.accuracy,
        "r2": score.r2,
        "r2_clear": clear.r2,
        "rmse": score.rmse,
        "rmse_clear": clear.rmse,
        "agreement": score.agreement,
        "error": score.worst_error,
        "precision_bits": -math.log2(noise) if noise > 0 else None,
        "without_result": int(np.count_nonzero(np.isnan(noisy).any(axis=1))),
        "outside": float(np.mean(beyond)) if has_ranges else None,
    }


def _encrypted(study: Study, plan: Plan, options: Options, tell: Progress) -> dict[str, Any]:
    """Return the time of a run on ciphertexts and the largest error of its results."""
    from hetorch.inspect.run_encrypted import run_samples

    samples, _ = plan.public().samples(study.first(study.encrypted), fewest=1)
    times: list[float] = []

    def listen(event: Event) -> None:
        times.append(event.seconds)

    engine = backend(options.get("engine") or NATIVE.name)
    results = run_samples(plan, samples, engine, machine_memory(), listen, tell)
    runs = np.array(times).reshape(-(-len(samples) // plan.batch_size), -1)
    difference = results.reshape(len(samples), -1) - study.clear[: len(samples)]
    return {
        "measured_seconds": float(np.median(runs.sum(axis=1))),
        "measured_error": float(np.abs(difference).max()) / (plan.report.output_range or 1.0),
    }


def _within(tell: Progress, part: tuple[float, float]) -> Progress:
    """Return a function that tells the share of all work, from that of a part."""
    begin, end = part
    return lambda stage, done: tell(stage, begin + (end - begin) * done)


def _sentence(problem: object) -> str:
    """Return a message as one printable line."""
    return " ".join(str(problem).split())
