"""Any number of samples through a plan, as many at a time as one run takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError, PlanUseError
from hetorch.ir.he_operations import Operation
from hetorch.plan import Plan, PublicPlan
from hetorch.progress import Progress
from hetorch.runtime import Trace

Slots = NDArray[np.float64]

COMPUTING = "computing"
"""The stage that Progress is told while operations run."""


def run_in_batches(
    public: PublicPlan, samples: NDArray[np.float64], run: Callable[[Sequence[Slots]], list[Slots]]
) -> NDArray[np.float64]:
    """Pack `samples` (PublicPlan.samples) into slots, call `run` for each batch and return the unpacked results.

    `run` takes and returns the slots of each ciphertext, (slot_count,). The result has shape (batch, *output_shape).
    """
    results = [np.zeros((0, *public.output_shape))]
    for begin in range(0, len(samples), public.batch_size):
        part = samples[begin : begin + public.batch_size]
        results.append(public.unpack_batch(run(public.pack_batch(part)))[: len(part)])
    return np.concatenate(results)


def telling(trace: Trace | None, report: Progress, plan: Plan, sample_count: int) -> Trace:
    """Return a trace that tells `report` the share of all operations on that many samples, and then calls `trace`."""
    total = len(plan.program.operations) * -(-sample_count // plan.batch_size)
    done = 0

    def tell(operation: Operation, level: int, scale: float, seconds: float) -> None:
        nonlocal done
        done += 1
        report(COMPUTING, done / total)
        if trace is not None:
            trace(operation, level, scale, seconds)

    return tell


def check_runnable(plan: object) -> None:
    """Raise InputError for anything but a plan, and PlanUseError for a plan that is without its weights."""
    if not isinstance(plan, Plan):
        raise InputError(
            f"the first argument is a plan, got {type(plan).__name__}; hetorch.compile makes a plan of a model, "
            "hetorch.Plan.load reads one from its folder"
        )
    if plan.weights_withheld:
        raise PlanUseError(
            f"the plan {plan.name!r} is without its weights (without_weights), and would compute with zeros; run the "
            "plan that still has them, or a hetorch.runtime.Runner with what "
            "hetorch.model_owner.encrypt.encrypt_weights made of them"
        )
