"""The best trial that is precise enough, with its errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.noise.range_noise import ROOM
from hetorch.compiler.search.advice import remedies
from hetorch.compiler.search.bootstrapped_errors import (
    BootstrappedErrors,
    RefreshedProgram,
    bootstrapped_errors,
)
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.feasibility import BIAS_BITS, HEADROOM_BITS
from hetorch.compiler.search.request import COARSEST, Request
from hetorch.compiler.search.trials import Trial, best_trial, few_keys
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import Affine

LESS_NOISE = 0.8
"""Noise of the bootstraps of the next set, relative to that of a set with which the error is too large. Raised, sets
are tried that are as noisy."""

Array = NDArray[np.float64]


def first_precise(request: Request, trials: Sequence[Trial], inputs: Array) -> Choice | None:
    """Return the best of the trials within the limits, or of those with less noise if it is not precise enough; None
    if all are beyond the limits.

    Raises:
        InfeasibleError: those within the limits are not precise enough.
    """
    problem: InfeasibleError | None = None
    noises: dict[int, float] = {}  # by trial; they take as long to predict as a trial to make
    while trials:
        best = best_trial(request, trials, few_keys(request))
        if best is None:
            break
        try:
            return _with_errors(request, best, inputs)
        except InfeasibleError as error:
            problem = error
        noises = noises or {id(trial): trial.noise for trial in trials}
        noise = LESS_NOISE * noises[id(best)]
        trials = [trial for trial in trials if noises[id(trial)] < noise]
    if problem is not None:
        raise problem
    return None


def _with_errors(request: Request, trial: Trial, inputs: Array) -> Choice:
    """Return the choice with its errors.

    Raises:
        InfeasibleError: outputs do not fit the modulus that is left, noise leaves the ranges of polynomials, or the
            error is above the precision that the user asked for.
    """
    choice, errors = trial.choice, bootstrapped_errors(trial.program, inputs)
    problem = _problem(request, trial.program, errors)
    if problem:
        ways = remedies(request, choice.candidate.variant)
        raise InfeasibleError(f"with bootstraps, {problem}; what helps: {'; '.join(ways)}")
    return replace(
        choice,
        variant=replace(choice.variant, measured=errors.sensitivity),
        shares=errors.shares,
        error=errors.error,
    )


def _problem(request: Request, refreshed: RefreshedProgram, errors: BootstrappedErrors) -> str:
    """Return the requirement that the errors or the outputs miss; empty if they meet all."""
    options, error = request.options, errors.error / request.output_range
    asked = options.precision is not None or options.shared_queries is not None
    allowed = request.precision if asked else COARSEST
    if errors.range_noise > ROOM:
        return f"noise of {errors.range_noise:.2g} leaves the ranges of the polynomials, which have room for {ROOM:.2g}"
    if error > allowed:
        return (
            f"encryption changes the outputs by up to {error:.2g} of their range, and {allowed:.2g} are allowed by "
            "precision="
        )
    needed, room = _output_bits(refreshed)
    return f"the outputs need {needed:.0f} bits, and {room:.0f} are left" if needed > room else ""


def _output_bits(refreshed: RefreshedProgram) -> tuple[float, float]:
    """Return the bits that the outputs may need, and those of the primes at their level."""
    program, output = refreshed.program, refreshed.program.output
    chain = refreshed.bootstrap_set.parameters.modulus_chain[: refreshed.levels[output] + 1]
    largest = refreshed.sizes[output] * 2.0**HEADROOM_BITS
    op = program.operations[output - 1]
    if isinstance(op, Affine):
        largest = max(largest, float(np.max(np.abs(op.bias))) * 2.0**BIAS_BITS)
    needed = math.log2(max(refreshed.scales[output] * largest, 1.0))
    return needed, sum(math.log2(prime) for prime in chain)
