"""The noise on results that are shared, compared with the outputs of the plan before anything is computed."""

from __future__ import annotations

import math
import warnings

from hetorch.engine.secret import Sharing
from hetorch.errors import InputError, SharingNoiseWarning
from hetorch.plan.public import PublicPlan

LARGE_SHARE = 0.1
"""Share of the range of the calibrated outputs above which the noise's standard deviation is warned of. Raised, results
of fewer digits are shared without a word."""


def sharing_noise(plan: PublicPlan, sharing: Sharing, sample_count: int) -> float:
    """Return the standard deviation of the noise on each output, in its unit, for `sample_count` samples."""
    together = min(sample_count, plan.batch_size)
    return sharing.noise_std(together * math.prod(plan.output_shape))


def check_sharing(
    plan: PublicPlan, sharing: Sharing, sample_count: int, *, for_classes: bool = False, stacklevel: int = 2
) -> None:
    """Refuse a bound that the plan does not keep, and warn of noise that is large beside the outputs.

    Args:
        plan: the plan.
        sharing: the circumstances of the sharing.
        sample_count: the number of samples.
        for_classes: True if labels or probabilities are made of the noisy outputs.
        stacklevel: the frame that the warning names, as for warnings.warn.

    Raises:
        InputError: the error bound is below the plan's predicted error; or the noise is larger than the range of the
            outputs, and `for_classes`.
    """
    predicted = plan.precision * plan.output_range
    if sharing.error_bound < predicted:
        raise InputError(
            f"the error bound {sharing.error_bound:g} is below the error that the plan predicts, {predicted:.3g}, and "
            "noise for a smaller one would not hide the key; give at least that"
        )
    noise = sharing_noise(plan, sharing, sample_count)
    share = noise / plan.output_range if plan.output_range else 0.0
    if share <= LARGE_SHARE:
        return
    gain = noise / sharing.error_bound
    message = (
        f"the noise for sharing has a standard deviation of {noise:.3g}, {share:.2g} times the range of the calibrated "
        f"outputs ({plan.output_range:.3g}): it is {gain:.2g} times the error bound. Give the error that the plan "
        f"predicts, {predicted:.3g}, as the bound; for noise of a tenth of the range, compile with "
        f"precision={LARGE_SHARE / gain:.1g}"
    )
    if for_classes and share > 1:
        raise InputError(f"labels and probabilities would be those of noise: {message}")
    warnings.warn(message, SharingNoiseWarning, stacklevel=stacklevel + 1)
