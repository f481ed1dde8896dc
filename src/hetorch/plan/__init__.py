"""Layer 2: the frozen result of compiling, and its public part, which a client may see."""

from __future__ import annotations

from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan
from hetorch.plan.report import LayerReport, PlanReport

__all__ = ["LayerReport", "Plan", "PlanReport", "PublicPlan"]
