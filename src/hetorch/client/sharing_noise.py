"""The noise on results that are shared: its error bound, and its size beside the outputs of the plan."""

from __future__ import annotations

import math

from hetorch.engine.sharing import Sharing, least_error, noise_gain
from hetorch.errors import InputError
from hetorch.plan.public import PublicPlan


def least_bound(plan: PublicPlan) -> float:
    """Return the least error bound for results of a plan: what it predicts, or the floor of its parameters."""
    return max(plan.precision * plan.output_range, least_error(plan.parameters, plan.output_scale))


def checked_sharing(plan: PublicPlan, sharing: Sharing, sample_count: int, *, pinned: bool) -> Sharing:
    """Return the circumstances of a sharing with their error bound.

    Args:
        plan: the plan.
        sharing: the circumstances; the bound is that of the plan if they have none.
        sample_count: the number of samples.
        pinned: True if the owner vouches for the plan; a server could claim any precision.

    Raises:
        InputError: the plan is not pinned; the error bound is below what the plan predicts or parameters allow; the
            noise is a larger share of the range of the outputs than `sharing.most_noise`.
    """
    if not pinned:
        raise InputError(
            "the noise for sharing follows from the error that the plan predicts, and this plan is the server's word: "
            "give the plan, its folder or the SHA-256 of its public part (`hetorch inspect`) from whoever compiled it, "
            "as pinned= of hetorch.Client (--pinned)"
        )
    least = least_bound(plan)
    bound = least if sharing.error_bound is None else sharing.error_bound
    if bound < least:
        raise InputError(
            f"the error bound {bound:g} is below {least:.3g}, the larger of the error that the plan predicts and the "
            "least one of its parameters; noise for a smaller one would not hide the key: leave the bound out"
        )
    sharing = sharing.with_bound(bound)
    noise = sharing_noise(plan, sharing, sample_count)
    if noise > sharing.most_noise * plan.output_range:
        share = noise / plan.output_range if plan.output_range else math.inf
        raise InputError(
            f"the noise for sharing has a standard deviation of {noise:.3g}, {share:.2g} times the range of the "
            f"calibrated outputs ({plan.output_range:.3g}), more than the {sharing.most_noise:g} allowed; compile with "
            f"shared_queries={sharing.queries} (precision={_precision(plan, sharing, sample_count):.1g}), share fewer "
            "results, or state a larger most_noise= of Sharing"
        )
    return sharing


def sharing_noise(plan: PublicPlan, sharing: Sharing, sample_count: int) -> float:
    """Return the standard deviation of the noise on each output, in its unit, for `sample_count` samples.

    The error bound is that of `sharing`, or else the least one of the plan.
    """
    bound = least_bound(plan) if sharing.error_bound is None else sharing.error_bound
    return sharing.with_bound(bound).noise_std(_value_count(plan, sample_count))


def _precision(plan: PublicPlan, sharing: Sharing, sample_count: int) -> float:
    """Return the precision with which the noise would be as large as it may be."""
    gain = noise_gain(sharing.queries, _value_count(plan, sample_count), sharing.security_bits)
    return sharing.most_noise / gain


def _value_count(plan: PublicPlan, sample_count: int) -> int:
    return min(sample_count, plan.batch_size) * math.prod(plan.output_shape)
