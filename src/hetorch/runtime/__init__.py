"""Layer 3: running a plan on an engine."""

from __future__ import annotations

from hetorch.runtime.events import Event, Listener
from hetorch.runtime.runner import Runner

__all__ = ["Event", "Listener", "Runner"]
