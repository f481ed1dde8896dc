"""Stage: run the plan on the cleartext engine, with modelled noise, before it is returned.

*Assumes* the plan that was lowered from the choice.
*Ensures* that its program runs (levels, scales and keys fit), and that on calibration inputs the outputs are as near to
those of the network of polynomials as the plan promises.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.search.evaluation import Choice
from hetorch.engine.cleartext import (
    CleartextCiphertext,
    CleartextEngine,
    CleartextPlaintext,
    PreparedTransform,
)
from hetorch.errors import HetorchError
from hetorch.ir.tensor_program import Chebyshev
from hetorch.plan import Plan
from hetorch.plan.keys import required_keys
from hetorch.runtime import Runner

Array = NDArray[np.float64]

RUNS = 2
"""Number of runs, each with samples and noise of its own. Raised, more faults are found and compiling takes longer."""
SLOT_OPERATIONS = 2e8
"""Numbers that a run may multiply if there is to be more than one: above it, a run takes seconds. Raised, compiling
large networks takes longer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of the runs: the largest `error`, relative to the output range, and the `promised` bound.

    `problem` tells why the program did not run; it is empty if it did.
    """

    error: float
    promised: float
    problem: str = ""

    @property
    def kept(self) -> bool:
        """True if the plan runs and its error is within the bound."""
        return not self.problem and self.error <= self.promised

    def sentence(self) -> str:
        """Return what was seen, for a message."""
        if self.problem:
            return f"the compiled program does not run on calibration inputs: {self.problem}"
        return (
            f"on calibration inputs, encryption noise changes the outputs by {self.error:.2g} of their range, where "
            f"{self.promised:.2g} was predicted"
        )


def verify_plan(plan: Plan, choice: Choice) -> Verdict:
    """Run the plan on calibration samples that reach furthest into the ranges, and compare the outputs."""
    program, samples = choice.variant.program, choice.variant.sensitivity.samples
    span, promised = plan.report.output_range, plan.report.predicted_error
    order = _furthest_first(choice)
    public, error = plan.public(), 0.0
    try:
        for run in range(RUNS if _multiplications(choice) <= SLOT_OPERATIONS else 1):
            engine, runner = _runner(plan, seed=run)
            chosen = order[(run + np.arange(min(choice.batch, len(order)))) % len(order)]
            inputs = samples[0][chosen].reshape(-1, *program.input_shape)
            with np.errstate(over="ignore", invalid="ignore"):
                packed = [
                    engine.encrypt(slots, level=plan.input_level, scale=plan.input_scale)
                    for slots in public.pack_batch(inputs)
                ]
                results = [engine.decrypt(result) for result in runner.run(packed)]
            outputs = public.unpack_batch(results)[: len(chosen)].reshape(len(chosen), -1)
            error = max(error, float(np.max(np.abs(outputs - samples[program.output][chosen]))) / span)
    except HetorchError as refused:
        return Verdict(np.inf, promised, str(refused))
    return Verdict(error, promised)


def _runner(
    plan: Plan, seed: int
) -> tuple[CleartextEngine, Runner[CleartextCiphertext, CleartextPlaintext, PreparedTransform]]:
    if plan.program.encrypted_weights:  # the same program, with the weights that the model owner has
        program = replace(plan.program, encrypted_weights=False)
        keys = required_keys(program, plan.weights, plan.parameters)
        plan = replace(plan, program=program, key_spec=keys)
    engine = CleartextEngine(plan.parameters, seed=seed, key_spec=plan.key_spec)
    return engine, Runner(plan, engine)


def _furthest_first(choice: Choice) -> NDArray[np.int64]:
    """Return the numbers of the samples, those first that have the largest input of a polynomial."""
    program, samples = choice.variant.program, choice.variant.sensitivity.samples
    read = {op.input for op in program.operations if isinstance(op, Chebyshev)} or {program.output}
    largest = np.max([np.max(np.abs(samples[value]), axis=1) for value in sorted(read)], axis=0)
    return np.argsort(-largest, kind="stable")


def _multiplications(choice: Choice) -> float:
    """Return the number of products of a run: slots times diagonals."""
    slots = choice.parameters.slot_count
    return float(slots) * sum(parts.diagonals for parts in choice.lowered.values())
