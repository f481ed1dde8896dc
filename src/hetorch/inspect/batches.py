"""Any number of samples through a plan, as many at a time as one run takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError, PlanUseError
from hetorch.plan import Plan, PublicPlan
from hetorch.plan.keys import required_keys
from hetorch.progress import Progress
from hetorch.runtime import Event, Listener

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


def telling(on_event: Listener | None, report: Progress, plan: Plan, sample_count: int) -> Listener:
    """Return a listener that tells `report` the share of all operations on that many samples, and then calls
    `on_event`."""
    total = len(plan.program.operations) * -(-sample_count // plan.batch_size)
    done = 0

    def tell(event: Event) -> None:
        nonlocal done
        done += 1
        report(COMPUTING, done / total)
        if on_event is not None:
            on_event(event)

    return tell


def with_clear_weights(plan: Plan) -> Plan:
    """Return a plan that computes the same with weights in clear; the plan itself if it does."""
    if not plan.program.encrypted_weights:
        return plan
    program = replace(plan.program, encrypted_weights=False)
    keys = required_keys(program, plan.weights, plan.parameters)
    return replace(plan, program=program, key_spec=keys)


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
