"""Layer 3: running a plan on an engine."""

from __future__ import annotations

from hetorch.runtime.runner import Runner, Trace

__all__ = ["Runner", "Trace"]
