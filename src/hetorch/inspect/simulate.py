"""A plan on numbers without slots: any number of samples at about the speed of the model itself.

Unlike hetorch.inspect.run_encrypted, this file loads no module for secret keys.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.cleartext import check_room
from hetorch.inspect.batches import check_runnable
from hetorch.plan import Plan


def simulate(plan: Plan, x: object, *, noise: bool = True, seed: int = 0) -> Any:
    """Compute what the plan computes, polynomials included, without encryption and without slots.

    The first call derives the network from the plan's program and keeps it; hetorch.inspect.run_slots runs every
    operation instead. Warns with InputRangeWarning if `x` leaves the calibrated range, as the client does.

    Args:
        plan: a plan with its weights, in clear or to be encrypted.
        x: one sample of the plan's input_shape, or a batch of them, as for hetorch.Client.predict.
        noise: add Gaussian noise to each value, with the standard deviation that encryption gives it.
        seed: the seed of that noise, 0 or more.

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
    return public.named(simulate_samples(plan, samples, seed if noise else None))


def simulate_samples(
    plan: Plan, samples: NDArray[np.float64], seed: int | None, beyond: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return the results for checked samples; `seed` is None for no noise.

    `beyond`, (batch,), becomes True for each sample with which a polynomial was asked outside its range.

    Raises:
        InputError: a result does not fit below the modulus.
    """
    flat = samples.reshape(len(samples), plan.input_layout.size)
    results = plan.network().run(flat, seed=seed, threads=_native.thread_count(), beyond=beyond)
    check_room(plan.parameters, results, plan.output_level, plan.output_scale)
    return results.reshape(len(samples), *plan.output_layout.shape)
