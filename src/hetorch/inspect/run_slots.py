"""A plan on the cleartext engine, slot by slot. Unlike hetorch.inspect.run_encrypted, this file loads no module for
secret keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetorch.engine.cleartext import CleartextEngine
from hetorch.inspect.batches import Slots, check_runnable, run_in_batches, telling, with_clear_weights
from hetorch.plan import Plan
from hetorch.progress import ProgressOption, reporting
from hetorch.runtime import Listener, Runner


def run_slots(
    plan: Plan,
    x: object,
    *,
    noise: bool = True,
    seed: int = 0,
    on_event: Listener | None = None,
    progress: ProgressOption = None,
) -> Any:
    """Run the plan on the cleartext engine: the same operations, levels, scales and keys, without cryptography.

    It takes seconds a sample for a large plan and shows every operation; hetorch.simulate gives the same results for
    many samples. Warns with InputRangeWarning if `x` leaves the calibrated range, and of results far outside those of
    calibration, as the client does.

    Args:
        plan: a plan with its weights, in clear or to be encrypted (the noise is then that of weights in clear).
        x: one sample of the plan's input_shape, or a batch of them.
        noise: add the modelled encryption noise.
        seed: the seed of that noise.
        on_event: called with a hetorch.runtime.Event after each operation.
        progress: called with a stage and the fraction of all operations that are done. By default a bar on the
            terminal, and a line in a notebook, for what takes more than a second; False for none.

    Returns:
        The results, float64 of shape (batch, *output_shape), or output_shape for one sample without a batch axis; of a
        model of several outputs a dictionary of them by name, or a tuple.

    Raises:
        InputError: `plan` is no plan; `x` is neither a sample nor a batch, or far outside the calibration inputs.
        PlanUseError: the plan is without its weights.
    """
    check_runnable(plan)
    public = plan.public()
    samples, single = public.samples(x)
    plan = with_clear_weights(plan)
    engine = CleartextEngine(plan.parameters, noise=noise, seed=seed, key_spec=plan.key_spec)
    runner = Runner(plan, engine)

    with reporting(progress, "run_slots") as report:
        told = telling(on_event, report, plan, len(samples))

        def run(packed: Sequence[Slots]) -> list[Slots]:
            inputs = [
                engine.encrypt(slots, level=plan.input_level, scale=plan.input_scale) for slots in packed
            ]
            return [engine.decrypt(result) for result in runner.run(inputs, on_event=told)]

        results = run_in_batches(public, samples, run)
    public.warn_of_results(results)
    return public.named(results[0] if single else results)
