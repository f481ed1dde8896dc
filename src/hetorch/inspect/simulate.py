"""A plan on numbers without slots: any number of samples at about the speed of the model itself.

Unlike hetorch.inspect.run_encrypted, this file loads no module for secret keys.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.cleartext import log2_modulus
from hetorch.errors import InputError, InputRangeWarning
from hetorch.inspect.batches import COMPUTING, check_runnable
from hetorch.plan import Plan
from hetorch.plan.outputs import samples_text
from hetorch.progress import Progress, ProgressOption, reporting
from hetorch.quantities import count_text

FAR_OUTSIDE = "the inputs, or activations inside the network, are far outside those of calibration"
"""The reason for results too large, for messages."""
DERIVING = "deriving the network from the plan"
"""The stage that Progress is told before the first simulation of a plan."""


def simulate(
    plan: Plan, x: object, *, noise: bool = True, seed: int = 0, progress: ProgressOption = None
) -> Any:
    """Compute what the plan computes, polynomials included, without encryption and without slots.

    The first call derives the network from the plan's program and keeps it; hetorch.inspect.run_slots runs every
    operation instead. Warns with InputRangeWarning if `x` leaves the calibrated range, and of results far outside those
    of calibration, as the client does. Warns too if a sample has no result because it is too large for the modulus:
    encrypted, it would come back as any number.

    Args:
        plan: a plan with its weights, in clear or to be encrypted.
        x: one sample of the plan's input_shape, or a batch of them, as for hetorch.Client.predict.
        noise: add Gaussian noise to each value, with the standard deviation that encryption gives it.
        seed: the seed of that noise, 0 or more.
        progress: called with a stage and the fraction of it that is done. By default a bar on the terminal, and a line
            in a notebook, for what takes more than a second; False for none.

    Returns:
        The results, float64 of shape (batch, *output_shape), or output_shape for one sample without a batch axis; NaN
        for a sample without a result. Of a model of several outputs a dictionary of them by name, or a tuple.

    Raises:
        InputError: `plan` is no plan; `x` is neither a sample nor a batch; no sample has a result; `seed` is negative.
        PlanUseError: the plan is without its weights.
    """
    check_runnable(plan)
    check_seed(seed)
    public = plan.public()
    samples, single = public.samples(x)
    with reporting(progress, "simulate") as report:
        results = simulate_samples(plan, samples, seed if noise else None, report)
    warn_without_result(results)
    public.warn_of_results(results)
    return public.named(results[0] if single else results)


def check_seed(seed: object) -> None:
    """Raise InputError unless `seed` is a whole number of 0 or more."""
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"the seed must be a whole number of 0 or more, got {seed!r}")


def simulate_samples(
    plan: Plan,
    samples: NDArray[np.float64],
    seed: int | None,
    report: Progress,
    beyond: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return the results for checked samples, NaN for those without a result; `seed` is None for no noise.

    `beyond`, (batch,), becomes True for each sample with which a polynomial was asked outside its range.

    Raises:
        InputError: no sample has a result.
    """
    report(DERIVING, 0.0)
    network = plan.network()
    flat = samples.reshape(len(samples), plan.input_layout.size)
    results = network.run(
        flat,
        seed=seed,
        threads=_native.thread_count(),
        beyond=beyond,
        done=lambda share: report(COMPUTING, share),
    )
    _drop_wrapped(plan, results)
    return results.reshape(len(samples), *plan.output_layout.shape)


def warn_without_result(results: NDArray[np.float64]) -> None:
    """Warn, at the caller's caller, if samples of `results`, (batch, ...), have no result."""
    wrong = np.asarray(np.isnan(results).any(axis=tuple(range(1, results.ndim))))
    if wrong.any():
        warnings.warn(
            f"{samples_text(wrong)} gave results too large for the plan and became NaN: {FAR_OUTSIDE}; leave them out, "
            "or compile again with inputs like them",
            InputRangeWarning,
            stacklevel=3,
        )


def _drop_wrapped(plan: Plan, results: NDArray[np.float64]) -> None:
    """Make NaN of the samples of `results`, (batch, size), that wrap around the modulus; InputError if all do."""
    most = 2.0 ** (log2_modulus(plan.parameters, plan.output_level) - 1) / plan.output_scale
    largest = np.abs(results).max(axis=1, initial=0.0)
    wrong = ~(largest <= most)
    results[wrong] = np.nan
    if wrong.size and wrong.all():
        subject = "the sample" if len(results) == 1 else f"each of {count_text(len(results), 'sample')}"
        raise InputError(
            f"{subject} has a result too large for the plan, the first one of size {largest[0]:.3g} where it holds "
            f"{most:.3g}: {FAR_OUTSIDE}; compile again with inputs like them"
        )
