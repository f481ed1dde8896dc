"""A plan on the cleartext engine. Unlike hetorch.inspect.run_encrypted, this file loads no module for secret keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hetorch.engine.cleartext import CleartextEngine
from hetorch.inspect.batches import Slots, check_runnable, run_in_batches
from hetorch.plan import Plan
from hetorch.plan.keys import required_keys
from hetorch.runtime import Runner, Trace


def simulate(plan: Plan, x: object, *, noise: bool = True, seed: int = 0, trace: Trace | None = None) -> Any:
    """Run the plan on the cleartext engine: the same program, levels, scales and errors, without cryptography.

    Warns with InputRangeWarning if `x` leaves the calibrated range, as the client does.

    Args:
        plan: a plan with its weights, in clear or to be encrypted.
        x: one sample of the plan's input_shape, or a batch of them, as for hetorch.Client.predict.
        noise: add the modelled encryption noise.
        seed: the seed of that noise.
        trace: called after each operation.

    Returns:
        The results, float64 of shape (batch, *output_shape); of a model of several outputs a dictionary of them by
        name, or a tuple.

    Raises:
        InputError: `plan` is no plan; `x` is neither a sample nor a batch, or far outside the calibration inputs.
        PlanUseError: the plan is without its weights.
    """
    check_runnable(plan)
    public = plan.public()
    samples, _ = public.samples(x)
    if plan.program.encrypted_weights:  # the same program, with the weights that the model owner has
        program = replace(plan.program, encrypted_weights=False)
        keys = required_keys(program, plan.weights, plan.parameters.slot_generator)
        plan = replace(plan, program=program, key_spec=keys)
    engine = CleartextEngine(plan.parameters, noise=noise, seed=seed, key_spec=plan.key_spec)
    runner = Runner(plan, engine)

    def run(packed: Sequence[Slots]) -> list[Slots]:
        inputs = [engine.encrypt(slots, level=plan.input_level, scale=plan.input_scale) for slots in packed]
        return [engine.decrypt(result) for result in runner.run(inputs, trace=trace)]

    return public.named(run_in_batches(public, samples, run))
