"""The new version of a model in place of the one that a client began with."""

from __future__ import annotations

from hetorch.errors import PlanUseError
from hetorch.plan.public import PublicPlan


def check_successor(model: str, before: PublicPlan, plan: PublicPlan) -> None:
    """Raise PlanUseError unless a plan takes and gives what the one before it did."""
    parts = {
        "inputs": (before.input_shape, plan.input_shape),
        "outputs": (before.output_shape, plan.output_shape),
        "columns, classes or names of outputs": (before.interface, plan.interface),
    }
    changed = [part for part, (old, new) in parts.items() if old != new]
    if changed:
        raise PlanUseError(
            f"the model {model!r} has changed to the version {plan.fingerprint[:12]}…, which has other "
            f"{' and other '.join(changed)}; make a new client"
        )
